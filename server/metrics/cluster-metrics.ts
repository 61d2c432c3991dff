/** Metrics of a cluster: its nodes as this one knows them, and how far its store is. */
import { Gauge, type Registry } from 'prom-client';
import type { Histogram } from '../lib/histogram.ts';
import { delayHistogram } from './delay-histogram.ts';

export interface ClusterSource {
  /** Nodes by state. */
  nodes(): Readonly<Record<'live' | 'silent' | 'left' | 'dead', number>>;
  /** Whether the store of the cluster answers, and this node knows what the others know. */
  isUp(): boolean;
  /** From a change on another node to its arrival here. */
  readonly bus: Histogram;
}

export function registerCluster(registry: Registry, source: ClusterSource): void {
  const nodes: Gauge = new Gauge({
    name: 'presence_hub_nodes',
    help: 'Nodes of the cluster by state, as this node knows them; the dead are remembered for a day',
    labelNames: ['state'],
    registers: [registry],
    collect: () => {
      for (const [state, count] of Object.entries(source.nodes())) nodes.set({ state }, count);
    },
  });
  const up: Gauge = new Gauge({
    name: 'presence_hub_engine_up',
    help: '1 if the store of the cluster answers and this node knows what the others know',
    registers: [registry],
    collect: () => up.set(source.isUp() ? 1 : 0),
  });
  registry.registerMetric(
    delayHistogram(
      'presence_hub_bus_seconds',
      'From a change on another node to its arrival here; depends on clocks that agree',
      source.bus,
    ),
  );
}
