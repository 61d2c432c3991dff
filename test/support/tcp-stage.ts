/**
 * The TCP adapter alone, on a core that a test can inspect: real sockets, a clock that the test moves, no HTTP, and so
 * none of what HTTPS would ask of a test. Looked at by the test itself.
 */
import { noPeers } from '../../server/peers.ts';
import { Admission } from '../../server/admission.ts';
import { openAuthenticator } from '../../server/auth/authenticator.ts';
import { parseCidrs, type Cidrs } from '../../server/auth/cidrs.ts';
import { defaultFieldNames } from '../../server/adapters/tcp-xml/frames/names.ts';
import type { TcpXmlOptions } from '../../server/adapters/tcp-xml/options.ts';
import { TcpXml } from '../../server/adapters/tcp-xml/tcp-xml.ts';
import { Intake } from '../../server/intake.ts';
import type { Session } from '../../server/presence/sessions/session.ts';
import { InputWait } from '../../server/lib/time/input-wait.ts';
import type { BadFrameReason, RefusalReason } from '../../shared/reasons.ts';
import { LegacyClient } from './legacy-client.ts';
import { PresenceStage } from './presence-stage.ts';

export class TcpStage {
  readonly core = new PresenceStage();
  readonly bad: BadFrameReason[] = [];
  /** Where bad frames came from. */
  readonly badFrom: string[] = [];
  readonly refused: RefusalReason[] = [];
  readonly intake: Intake;
  readonly tcp: TcpXml;
  readonly #clients: LegacyClient[] = [];
  #port = 0;

  private constructor(options: Partial<TcpXmlOptions>) {
    const { users, presence, clock } = this.core;
    this.intake = new Intake({
      users,
      presence,
      clock,
      onChange: [],
      maxSessions: 100,
      maxSessionsTotal: 1_000_000,
      unsavedCount: () => 0,
      peers: noPeers,
      onRefused: (reason) => this.refused.push(reason),
    });
    this.tcp = new TcpXml({
      authenticator: openAuthenticator,
      asksForToken: false,
      admission: new Admission({ maxConnections: 1000, maxPerAddress: 1000 }),
      allowed: null,
      trustedProxies: cidrs(''),
      tls: null,
      tlsMode: 'allow',
      onRefused: (reason) => this.refused.push(reason),
      explainRefusal: () => undefined,
      maxUsers: 20_000,
      messages: { perS: 200, burst: 2000 },
      frameMs: 30_000,
      intake: this.intake,
      clock,
      inputWait: new InputWait(),
      encoding: 'utf-8',
      names: defaultFieldNames,
      statusOf: (code) => (code === 2 ? 'away' : 'online'),
      timeoutMs: 5_400,
      ack: true,
      probe: false,
      onBadFrame: ({ reason, peer }) => {
        this.bad.push(reason);
        this.badFrom.push(peer);
      },
      ...options,
    });
  }

  static async open(options: Partial<TcpXmlOptions> = {}): Promise<TcpStage> {
    const stage = new TcpStage(options);
    stage.#port = await stage.tcp.listen('127.0.0.1', 0);
    return stage;
  }

  async connect(options?: Parameters<typeof LegacyClient.open>[1]): Promise<LegacyClient> {
    const client = await LegacyClient.open(this.#port, options);
    this.#clients.push(client);
    return client;
  }

  /** Time passes, and the hub's ticker runs: first for expired leases, then for the connections. */
  pass(ms: number): void {
    const { clock, presence } = this.core;
    clock.pass(ms);
    for (const session of presence.expire(clock.now(), 1000).lapsed) session.owner.lapsed(session);
    this.tcp.tick(clock.now().monoMs);
  }

  session(user: string): Session | undefined {
    return this.intake.find(user, 'legacy', 'tcp-xml');
  }

  get frames(): number {
    return this.intake.heartbeats['tcp-xml'];
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.reset();
    await this.tcp.close();
  }
}

export function cidrs(text: string): Cidrs {
  const read = parseCidrs('A_TEST', text);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}
