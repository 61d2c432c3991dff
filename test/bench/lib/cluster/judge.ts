/**
 * What must hold at all times, for every watcher on every node: equal versions are equal entries, versions of a
 * connection only grow, nobody is falsely offline, nothing is late but between `stale` and `fresh`. Collects what does
 * not hold, with what came before it.
 */
import { readHubMessage } from '../hub-message.ts';

export interface Entry {
  readonly user: string;
  readonly status: string;
  readonly code: number;
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly devices: readonly string[];
  readonly text?: string;
  readonly v: number;
}

/** What of an entry the driver of the users knows. */
export interface Shown {
  readonly status: string;
  readonly code: number;
  readonly devices: readonly string[];
  readonly text: string;
}

export const OFFLINE: Shown = { status: 'offline', code: -1, devices: [], text: '' };

export function isAsShown(entry: Entry | undefined, { status, code, devices, text }: Shown): boolean {
  if (entry === undefined) return status === 'offline';
  return (
    entry.status === status &&
    entry.code === code &&
    (entry.text ?? '') === text &&
    entry.devices.join() === devices.join()
  );
}

const FAILURES_KEPT = 60;
const KEPT_OF_A_KIND = 8;
const VERSIONS_KEPT = 100;

export interface Message {
  readonly type: string;
  readonly entries?: readonly Entry[];
  readonly entry?: Entry;
  readonly op?: string;
  readonly user?: string;
  readonly at?: number;
  readonly since?: number;
  readonly removed?: readonly string[];
  readonly re?: number | string;
  readonly code?: string;
}

export const readMessage = (text: string): Message => readHubMessage(text) as unknown as Message;

export class Judge {
  readonly failures: string[] = [];
  readonly counts: Record<string, number> = {};
  /** The fault that goes on, or the last one. */
  fault = 'none';
  readonly #startedAt = performance.now();
  readonly #seen = new Map<string, Map<number, string>>();
  readonly #explain: (user: string) => Promise<string>;

  constructor(explain: (user: string) => Promise<string>) {
    this.#explain = explain;
  }

  /** Counts, and keeps the first ones with their story. */
  fail(kind: string, user: string, story: () => readonly string[]): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    if ((this.counts[kind] ?? 0) > KEPT_OF_A_KIND || this.failures.length >= FAILURES_KEPT) return;
    const head = `[${this.clock()} s, ${this.fault}] ${kind}: ${user}`;
    const index = this.failures.push([head, ...story()].join('\n    ')) - 1;
    process.stdout.write(`!!! ${this.failures[index] ?? ''}\n`);
    if (user === '') return;
    void this.#explain(user).then((text) => {
      this.failures[index] = `${this.failures[index] ?? ''}\n    ${text}`;
      process.stdout.write(`!!! ${user} explained: ${text}\n`);
    });
  }

  get differences(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  clock(): string {
    return ((performance.now() - this.#startedAt) / 1000).toFixed(2);
  }

  /** Equal user and version is an equal entry, for one viewer, during the whole run. */
  saw(viewer: string, entry: Entry, story: () => readonly string[]): void {
    const key = `${viewer} ${entry.user}`;
    let versions = this.#seen.get(key);
    if (versions === undefined) this.#seen.set(key, (versions = new Map<number, string>()));
    const text = JSON.stringify(entry);
    const before = versions.get(entry.v);
    if (before !== undefined && before !== text)
      this.fail('two entries of one version', entry.user, () => [before, text, ...story()]);
    versions.set(entry.v, text);
    if (versions.size > VERSIONS_KEPT) versions.delete(versions.keys().next().value ?? 0);
  }
}
