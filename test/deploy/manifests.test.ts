/** How the hub is installed: the unit of systemd, compose, Kubernetes and the release, checked against the real hub and files. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { defaultConfig, startTestHub, type TestHub } from '../support/hub.ts';
import { needing, programPath } from '../support/needs.ts';
import { configOf, imageEnv, imagePorts, imageUser, read, repository, secret, STOP_S } from './image-facts.ts';

describe('the unit of systemd', needing('systemd-analyze'), () => {
  const unit = 'deploy/systemd/presence-hub.service';
  const analyze = (...args: string[]) => {
    const path = programPath('systemd-analyze');
    return spawnSync(path, args, { cwd: repository, encoding: 'utf8' });
  };

  it('has no fault', () => {
    const { status, stdout, stderr } = analyze('verify', unit);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('exposes little of the machine', () => {
    // Of 10; what is left is the network, which a hub is for, and V8.
    const { status, stdout } = analyze('security', '--offline=yes', '--threshold=15', unit);
    expect(stdout).toMatch(/Overall exposure level for presence-hub.service: 1\.\d OK/);
    expect(status).toBe(0);
  });

  it('gives the hub the time to drain, and its descriptors', () => {
    const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(read(unit))?.[1] ?? '';
    expect(Number(of('TimeoutStopSec'))).toBeGreaterThan(STOP_S);
    expect(Number(of('LimitNOFILE'))).toBeGreaterThan(defaultConfig.maxConnections);
    expect(of('ExecStart')).toBe('/usr/bin/node /opt/presence-hub/node_modules/presence-hub/server/launch.mjs');
    expect(existsSync(join(repository, 'server/launch.mjs'))).toBe(true);
  });
});

describe('compose', () => {
  interface Service {
    readonly build: { readonly context: string; readonly dockerfile: string };
    readonly ports: readonly string[];
    readonly volumes: readonly string[];
    readonly stop_grace_period: string;
    readonly cap_drop: readonly string[];
    readonly ulimits: { readonly nofile: number };
  }
  const { services, volumes } = parse(read('deploy/compose.yaml')) as {
    services: { hub: Service };
    volumes: Record<string, unknown>;
  };
  const { hub } = services;

  it('builds the image, and keeps its data in a volume', () => {
    expect(existsSync(join(repository, 'deploy', hub.build.context, hub.build.dockerfile))).toBe(true);
    const [[name = '', path = ''] = []] = hub.volumes.map((volume) => volume.split(':'));
    expect(Object.keys(volumes)).toContain(name);
    expect(path).toBe(imageEnv['HUB_DATA']);
  });

  it('publishes the ports of the image, that of HTTP to this machine only', () => {
    expect(hub.ports.map((port) => Number(port.split(':').at(-1)))).toEqual(imagePorts);
    expect(hub.ports[0]).toMatch(/^127\.0\.0\.1:/);
  });

  it('gives the hub the time to drain, its descriptors, and no capability', () => {
    expect(parseInt(hub.stop_grace_period)).toBeGreaterThan(STOP_S);
    expect(hub.ulimits.nofile).toBeGreaterThan(defaultConfig.maxConnections);
    expect(hub.cap_drop).toEqual(['ALL']);
  });
});

describe('Kubernetes', () => {
  interface Probe {
    readonly httpGet: { readonly path: string; readonly port: string };
    readonly periodSeconds: number;
    readonly failureThreshold: number;
  }
  interface Container {
    readonly image: string;
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
    readonly startupProbe: Probe;
    readonly readinessProbe: Probe;
    readonly livenessProbe: Probe;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }
  interface PodSpec {
    readonly terminationGracePeriodSeconds: number;
    readonly enableServiceLinks: boolean;
    readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number; readonly fsGroup: number };
    readonly containers: readonly Container[];
    readonly volumes: readonly { readonly name: string }[];
  }
  interface StatefulSet {
    readonly kind: string;
    readonly spec: {
      readonly replicas: number;
      readonly serviceName: string;
      readonly selector: { readonly matchLabels: object };
      readonly template: { readonly metadata: { readonly labels: object }; readonly spec: PodSpec };
      readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
    };
  }
  interface Service {
    readonly kind: string;
    readonly metadata: { readonly name: string };
    readonly spec: { readonly selector: object; readonly ports: readonly { readonly targetPort: string }[] };
  }
  const documents = parseAllDocuments(read('deploy/kubernetes/presence-hub.yaml')).map((one) => one.toJS() as unknown);
  const [set, service] = documents as [StatefulSet, Service];
  const { template, selector, volumeClaimTemplates } = set.spec;
  const pod = template.spec;
  const container = pod.containers[0]!;
  let hub: TestHub | undefined;
  afterEach(() => hub?.stop());

  it('runs one hub at a time on its data, behind a service that finds it', () => {
    expect([set.kind, set.spec.replicas, service.kind]).toEqual(['StatefulSet', 1, 'Service']);
    expect(set.spec.serviceName).toBe(service.metadata.name);
    for (const labels of [template.metadata.labels, service.spec.selector])
      expect(labels).toEqual(selector.matchLabels);
    const names = container.ports.map(({ name }) => name);
    expect(service.spec.ports.map(({ targetPort }) => targetPort)).toEqual(names);
    expect(container.ports.map(({ containerPort }) => containerPort)).toEqual(imagePorts);
    const mounted = container.volumeMounts.map(({ name }) => name);
    const known = [
      ...volumeClaimTemplates.map(({ metadata }) => metadata.name),
      ...pod.volumes.map(({ name }) => name),
    ];
    expect(mounted.sort()).toEqual(known.sort());
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain(imageEnv['HUB_DATA']);
  });

  it('runs as the user of the image, to whom the data belong', () => {
    const { runAsUser, runAsGroup, fsGroup } = pod.securityContext;
    expect(`${runAsUser}:${runAsGroup}`).toBe(imageUser);
    expect(fsGroup).toBe(runAsGroup);
  });

  it('has settings with which the hub starts on the ports of the image', () => {
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    const config = configOf({ ...imageEnv, ...env, ...secret });
    expect([config.port, config.tcpPort]).toEqual(imagePorts);
    expect(config).toMatchObject({ auth: 'jwt', host: '0.0.0.0' });
  });

  it('asks the hub what it answers: ready until storage fails, alive all the same', async () => {
    hub = await startTestHub();
    for (const { httpGet } of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      expect(httpGet.port).toBe('http');
      expect((await hub.request('GET', httpGet.path)).status).toBe(200);
    }
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
    expect(container.livenessProbe.httpGet.path).toBe('/healthz');
  });

  it('gives a start the time to wait for the data, and an end the time to drain', () => {
    const { periodSeconds, failureThreshold } = container.startupProbe;
    expect(periodSeconds * failureThreshold).toBeGreaterThan(2 * 15);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(STOP_S);
    // A service named "hub" would otherwise set HUB_PORT.
    expect(pod.enableServiceLinks).toBe(false);
  });

  it('is listed for kustomize', () => {
    const { resources, images } = parse(read('deploy/kubernetes/kustomization.yaml')) as {
      resources: readonly string[];
      images: readonly { readonly name: string }[];
    };
    for (const file of resources) expect(existsSync(join(repository, 'deploy/kubernetes', file))).toBe(true);
    expect(images.map(({ name }) => name)).toEqual([container.image]);
  });
});

describe('the release', () => {
  interface Step {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }
  interface Job {
    readonly needs?: string;
    readonly permissions?: Readonly<Record<string, string>>;
    readonly steps: readonly Step[];
  }
  const { jobs, permissions } = parse(read('.github/workflows/release.yml')) as {
    jobs: Readonly<Record<string, Job>>;
    permissions: Readonly<Record<string, string>>;
  };

  it('publishes nothing before the tests have passed', () => {
    expect(jobs['test']!.steps.some(({ run }) => run === 'bash .ci/run')).toBe(true);
    for (const name of ['npm', 'image']) expect(jobs[name]!.needs).toBe('test');
  });

  it('signs where the package and the image come from, and may do no more than that needs', () => {
    expect(permissions).toEqual({ contents: 'read' });
    expect(jobs['npm']!.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    expect(jobs['npm']!.steps.some(({ run }) => run?.includes('npm publish --provenance') === true)).toBe(true);
    const attest = jobs['image']!.steps.find(
      ({ uses }) => uses?.startsWith('actions/attest-build-provenance@') === true,
    );
    expect(attest?.with).toMatchObject({
      'subject-digest': '${{ steps.push.outputs.digest }}',
      'push-to-registry': true,
    });
    const push = jobs['image']!.steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@') === true);
    expect(existsSync(join(repository, String(push?.with?.['file'])))).toBe(true);
  });

  it('names a version of each action', () => {
    const used = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? []));
    expect(used.length).toBeGreaterThan(5);
    for (const action of used) expect(action).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
  });
});
