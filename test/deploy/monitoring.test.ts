/** The dashboard of Grafana and the alerts of Prometheus: they use what /metrics really exports, and fire when they should. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { Histogram } from '../../server/lib/histogram.ts';
import { registerCluster } from '../../server/metrics/cluster-metrics.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { needing, programPath } from '../support/needs.ts';
import { WEBHOOK_SECRET } from '../support/webhook-receiver.ts';
import { referencesOf } from './promql.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
}

const deploy = fileURLToPath(new URL('../../deploy', import.meta.url));
const read = (path: string): string => readFileSync(join(deploy, path), 'utf8');
const { panels } = JSON.parse(read('grafana/presence-hub.json')) as { panels: readonly Panel[] };
const { groups } = parse(read('prometheus/alerts.yml')) as { groups: readonly { rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const targets = panels.flatMap(({ title, targets: some = [] }) => some.map((target) => ({ title, ...target })));
/** Grafana fills these in. */
const filledIn = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', 'hub:8080');
const expressions = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...targets.map(({ title, expr }) => ({ where: title, expr: filledIn(expr) })),
];

/** What Prometheus itself adds. */
const ADDED = ['job', 'instance'];

/** The labels and their values by metric, as a hub with a webhook rule exports them. */
const exported = new Map<string, Map<string, Set<string>>>();
let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ webhookUrl: 'http://127.0.0.1:9/', webhookSecret: WEBHOOK_SECRET });
  await hub.request('POST', '/v1/heartbeat', { user: '42' });
  await hub.until(
    async () => (await hub.metric('presence_hub_webhook_events_total{rule="default",result="failed"}')) > 0,
  );
  const text = String((await hub.request('GET', '/metrics')).body) + (await clusterMetrics());
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const known = exported.get(name) ?? new Map<string, Set<string>>();
    exported.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g))
      known.set(label, (known.get(label) ?? new Set()).add(value));
  }
  exported.set('up', new Map());
});
afterAll(() => hub.stop());

/** What only a node of a cluster exports, as the hub prints it. */
function clusterMetrics(): Promise<string> {
  const registry = new Registry();
  const nodes = { live: 2, silent: 0, left: 0, dead: 0 };
  registerCluster(registry, { nodes: () => nodes, isUp: () => true, bus: new Histogram([10, 100]) });
  return registry.metrics();
}

describe('every expression of the dashboard and of the alerts', () => {
  it.each(expressions)('$where: $expr', ({ expr }) => {
    const { metrics, labels, values } = referencesOf(expr);
    if (!expr.startsWith('time()')) expect(metrics.length).toBeGreaterThan(0);
    for (const metric of metrics) expect([...exported.keys()]).toContain(metric);
    for (const { label, metrics: of } of labels)
      for (const metric of of) expect([...ADDED, ...(exported.get(metric)?.keys() ?? [])]).toContain(label);
    for (const { metric, label, value } of values)
      if (!ADDED.includes(label)) expect([...(exported.get(metric)?.get(label) ?? [])]).toContain(value);
  });
});

describe('the check of expressions', () => {
  it('finds metrics, labels and values', () => {
    expect(referencesOf('sum by (a, le) (rate(m_total{b="x",c=~"y|z"}[5m])) > 0.1 * other')).toEqual({
      metrics: ['m_total', 'other'],
      labels: [
        { label: 'b', metrics: ['m_total'] },
        { label: 'c', metrics: ['m_total'] },
        { label: 'a', metrics: ['m_total', 'other'] },
        { label: 'le', metrics: ['m_total', 'other'] },
      ],
      values: [
        { metric: 'm_total', label: 'b', value: 'x' },
        { metric: 'm_total', label: 'c', value: 'y' },
        { metric: 'm_total', label: 'c', value: 'z' },
      ],
    });
  });
});

describe('the dashboard', () => {
  it('shows every metric of the hub', () => {
    const shown = new Set(targets.flatMap(({ expr }) => referencesOf(filledIn(expr)).metrics));
    const known = [...exported.keys()].filter((name) => name !== 'up' && !/_(sum|count)$/.test(name));
    expect(known.filter((name) => !shown.has(name))).toEqual([]);
  });

  it('names series by labels that their expressions keep', () => {
    for (const { expr, legendFormat } of targets) {
      const kept = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? [];
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(kept).toContain(label);
    }
  });

  it('has panels with ids of their own that do not overlap', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

describe('the alerts', () => {
  it('each have a test in which they fire and one in which they do not', () => {
    const { tests } = parse(read('prometheus/alerts.test.yml')) as {
      tests: readonly { alert_rule_test: readonly { alertname: string; exp_alerts: readonly unknown[] }[] }[];
    };
    const tested = tests.flatMap((test) => test.alert_rule_test);
    for (const { alert } of rules) {
      const own = tested.filter(({ alertname }) => alertname === alert).map(({ exp_alerts }) => exp_alerts.length);
      expect([alert, ...own.sort()]).toEqual([alert, 0, 1]);
    }
  });

  describe('for promtool', needing('promtool'), () => {
    const promtool = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(programPath('promtool'), args, {
        cwd: join(deploy, 'prometheus'),
        encoding: 'utf8',
      });
      expect(stdout + stderr).toContain('SUCCESS');
      expect(status).toBe(0);
    };

    it('are rules without a fault, and the configuration beside them is, too', () => {
      promtool('check', 'rules', 'alerts.yml');
      promtool('check', 'config', '--syntax-only', 'prometheus.yml');
    });

    it('fire when they should', () => {
      promtool('test', 'rules', 'alerts.test.yml');
    });

    it('and the expressions of the dashboard have no fault', () => {
      const folder = mkdtempSync(join(tmpdir(), 'hub-dashboard-'));
      const records = targets.map(({ expr }, i) => ({ record: `panel:${i}`, expr: filledIn(expr) }));
      writeFileSync(join(folder, 'panels.yml'), stringify({ groups: [{ name: 'panels', rules: records }] }));
      promtool('check', 'rules', join(folder, 'panels.yml'));
      rmSync(folder, { recursive: true });
    });
  });
});
