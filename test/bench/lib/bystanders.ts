/**
 * The users that an attack must not affect: well-behaved users on TCP, WebSocket and HTTP, an observer that watches
 * them, and a probe of /healthz. Each is a process of its own. Reports how they were affected; does not judge it.
 * Shared by `npm run fuzz` and `npm run bench -- hostile`.
 */
import type { ObserverCommands } from '../roles/observer.ts';
import type { ProbeCommands } from '../roles/probe.ts';
import type { RegularUsersCommands } from '../roles/regular-users.ts';
import { ask } from './hub-http.ts';
import { until } from './pacing.ts';
import type { ProbeFigures } from './probe-times.ts';
import { startRole, type Role } from './roles.ts';

export interface BystanderCounts {
  readonly tcp: number;
  readonly ws: number;
  readonly http: number;
}

/** What was felt since the look before. */
export interface Sighting {
  /** Well-behaved users that were reported offline to the observer. */
  readonly reportedOffline: readonly string[];
  /** Connections of well-behaved users, and of the observer, that ended. */
  readonly lost: number;
  /** HTTP heartbeats that were not answered with 200. */
  readonly unanswered: number;
  readonly stales: number;
  /** Errors that the observer was sent, and how it was closed. */
  readonly errors: readonly string[];
  readonly worstLateMs: number;
  readonly probe: ProbeFigures;
}

const HERE_WITHIN_MS = 10_000;
const IDS_A_REQUEST = 1000;
export const PROBE_EVERY_MS = 50;

export class Bystanders {
  readonly #port: number;
  readonly #users: readonly string[];
  readonly #observer = startRole<ObserverCommands>(new URL('../roles/observer.js', import.meta.url));
  readonly #regularUsers = startRole<RegularUsersCommands>(new URL('../roles/regular-users.js', import.meta.url));
  readonly #probe = startRole<ProbeCommands>(new URL('../roles/probe.js', import.meta.url));
  #lost = 0;
  #unanswered = 0;

  private constructor(port: number, users: readonly string[]) {
    this.#port = port;
    this.#users = users;
  }

  /** Brings the users, waits until all of them are shown, and begins to probe. */
  static async start(hub: { port: number; tcpPort: number }, counts: BystanderCounts): Promise<Bystanders> {
    const named = (kind: string, count: number): string[] =>
      Array.from({ length: count }, (_, no) => `regular-${kind}-${no}`);
    const [tcp, ws, http] = [named('tcp', counts.tcp), named('ws', counts.ws), named('http', counts.http)];
    const { port, tcpPort } = hub;
    const bystanders = new Bystanders(port, [...tcp, ...ws, ...http]);
    await bystanders.#regularUsers.call('open', { port, tcpPort, tcp, ws, http });
    if (!(await until(() => bystanders.areHere(), HERE_WITHIN_MS)))
      throw new Error('the well-behaved users did not all come online');
    await bystanders.#observer.call('watch', { port, users: bystanders.#users });
    await bystanders.#probe.call('start', { port, everyMs: PROBE_EVERY_MS });
    return bystanders;
  }

  async look(): Promise<Sighting> {
    const [ledger, figures, probe] = await Promise.all([
      this.#observer.call('ledger'),
      this.#regularUsers.call('figures'),
      this.#probe.call('look'),
    ]);
    const [lost, unanswered] = [ledger.lost + figures.lost, figures.unanswered];
    const sighting = {
      reportedOffline: ledger.offline.map(({ user }) => user),
      lost: lost - this.#lost,
      unanswered: unanswered - this.#unanswered,
      stales: ledger.stales,
      errors: ledger.errors,
      worstLateMs: figures.worstLateMs,
      probe,
    };
    this.#lost = lost;
    this.#unanswered = unanswered;
    return sighting;
  }

  /** Whether the hub shows all of them online. */
  async areHere(): Promise<boolean> {
    for (let at = 0; at < this.#users.length; at += IDS_A_REQUEST) {
      const users = this.#users.slice(at, at + IDS_A_REQUEST);
      const { body } = await ask(this.#port, 'POST', '/v1/presence', { users });
      const { entries } = JSON.parse(body) as { readonly entries: readonly { readonly status: string }[] };
      if (entries.length !== users.length || entries.some(({ status }) => status !== 'online')) return false;
    }
    return true;
  }

  leave(): void {
    const roles: readonly Pick<Role<never>, 'stop'>[] = [this.#observer, this.#regularUsers, this.#probe];
    for (const role of roles) role.stop();
  }
}
