/** Opens the ports of the adapters, and starts the polls. */
import { clientAddress } from '../auth/client-address.ts';
import { Poller } from '../adapters/poll/poller.ts';
import { readXmlState } from '../adapters/tcp-xml/frames/read-state.ts';
import type { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import { listenOrExplain } from '../lib/net/listen-error.ts';
import { loadEngine, loadSharingEngine } from '../sockets/load-engine.ts';
import type { Listening, Service } from '../sockets/port.ts';
import type { Ticker } from '../ticker.ts';
import type { Adapters, Inner } from './adapters.ts';
import type { HubContext } from './context.ts';
import { createPollOutage } from './poll-outage.ts';

interface OpenedHttp {
  readonly listening: Listening;
  readonly urls: { readonly http: string; readonly ws: string };
  /** Why this socket engine is used, and what a hostile client can still do with it. */
  readonly why: string;
  readonly limit: string | null;
}

export async function listenHttp(context: HubContext, { api, wsJson, admission }: Adapters): Promise<OpenedHttp> {
  const { config, refusals, tls, worker } = context;
  const { host, port } = config;
  const { engine, why, limit } = worker === null ? loadEngine(config.transport) : loadSharingEngine(config.transport);
  const service: Service = {
    connections: admission,
    isProxy: (peer) => !context.trustedProxies.isEmpty && context.trustedProxies.contains(peer),
    onLimitExceeded: (reason) => {
      refusals[reason]++;
    },
    clientAddress: (peer, forwardedFor) => clientAddress(peer, forwardedFor, context.trustedProxies),
    http: (request) => api.answer(request),
    refuse: (status) => api.refuse(status),
    admit: (request) => api.admit(request),
    opened: (socket) => wsJson.opened(socket),
  };
  const listening = await listenOrExplain({ hostName: 'HUB_HOST', host, portName: 'HUB_PORT', port }, () =>
    engine.listen(host, port, service, { ...(tls !== null && { tls }), ...(worker !== null && { sharing: worker }) }),
  );
  const at = `${hostInUrl(host)}:${listening.port}`;
  const s = tls === null ? '' : 's';
  return { listening, urls: { http: `http${s}://${at}`, ws: `ws${s}://${at}/ws` }, why, limit };
}

/** @returns the address; null if the port is off. */
export async function listenTcp({ config, worker, onStop }: HubContext, tcpXml: TcpXml): Promise<string | null> {
  const { tcpHost: host, tcpPort: port } = config;
  if (port === null) return null;
  const names = { hostName: 'HUB_TCP_HOST', host, portName: 'HUB_TCP_PORT', port };
  const taken = await listenOrExplain(names, () => tcpXml.listen(host, port, worker !== null));
  onStop(() => tcpXml.close());
  return `${hostInUrl(host)}:${taken}`;
}

export async function startPolling(
  { config, log, codes, names, encoding, stalls, onStop }: HubContext,
  { intake, users, staleness, historyParts, clusterParts }: Inner,
  ticker: Ticker,
): Promise<void> {
  if (config.pollFile === null) return;
  const record = (user: string, since: number, until: number | null): void =>
    historyParts?.recorder.doubtUsers([user], since, until);
  // Like a lease, a poll is judged at a moment up to which sockets have been read.
  const clock = { now: () => ticker.judged };
  const poller = new Poller({
    file: config.pollFile,
    intake,
    clock,
    log,
    outage: createPollOutage({ users, staleness, clock, stalls, record }),
    codes,
    readXmlState: (body) => readXmlState(body, encoding, names),
    ...(clusterParts === null ? {} : { shares: clusterParts.targetShares }),
  });
  onStop(() => poller.stop());
  await poller.start();
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
