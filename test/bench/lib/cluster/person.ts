/** A user of the churn: one or two clients, what others must be shown of it, since when that is sure, and its diary. */
import type { Random } from '../random.ts';
import { Client, states, type Kind, type Status } from './client.ts';
import { OFFLINE, type Shown } from './judge.ts';
import { TIMEOUT_MS, type Node } from './nodes.ts';

/** Which statuses win, the first first (I5). */
const ORDER: readonly Status[] = ['invisible', 'busy', 'online', 'away'];
/**
 * A session whose connection broke counts for the rest of its grace beside a newer one, if the newer one came first. The
 * grace is a whole lease if the hub had a stall.
 */
const OLD_SESSION_MS = TIMEOUT_MS + 1500;
const DIARY_LENGTH = 14;
/** How late a report of somebody's absence may be, before it is a false one. */
const LATE_REPORT_MS = 15_000;
/** A node that is silent for longer may be taken for dead, with all its clients. */
const UNREACHABLE_MS = 5500;
/** Until all views are right after a fault. */
const RIGHT_WITHIN_MS = 4000;

export class Person {
  readonly user: string;
  readonly clients: readonly Client[];
  /** The versions of those who block grow without a report to others. */
  readonly mayBlock: boolean;
  readonly diary: string[] = [];
  /** Killed with its node at that moment, without a return. */
  ghostSinceMs = 0;
  /** From then on others must see `shown`. Infinity while a change is under way. */
  #firmAtMs = 0;
  /** Until then nothing may be changed of it, because an older session of it may still count. */
  #quietUntilMs = 0;
  /** Until then others may have been shown that it is offline. */
  #hiddenUntilMs = 0;
  #shown = OFFLINE;

  constructor(
    user: string,
    kinds: readonly Kind[],
    mayBlock: boolean,
    random: Random,
    choose: (except?: Node) => Node | undefined,
    clock: () => string,
  ) {
    this.user = user;
    this.mayBlock = mayBlock;
    this.clients = kinds.map(
      (kind): Client =>
        new Client(kind, user, {
          random,
          choose,
          confirmed: (atMs) => {
            // Another client of it may be on its way.
            if (this.clients.every((client) => client.isSettled)) this.#firmAtMs = Math.max(this.#firmFloorMs, atMs);
          },
          wasGone: () => this.hidden(),
          note: (deed) => this.note(`${clock()} ${deed}`),
        }),
    );
  }

  #firmFloorMs = 0;

  get shown(): Shown {
    return this.#shown;
  }

  get isPresent(): boolean {
    return this.clients.some((client) => client.isWanted);
  }

  get isSettled(): boolean {
    return this.clients.every((client) => client.isSettled);
  }

  /** Whether a deed is allowed now. */
  get isFree(): boolean {
    const now = performance.now();
    return now >= this.#quietUntilMs && now >= this.#firmAtMs && this.isSettled && !this.isUnreachable;
  }

  /** Whether a client of it is on a node that is stopped or cut off. */
  get isUnreachable(): boolean {
    return this.clients.some(({ node }) => node !== undefined && node.state !== 'up');
  }

  get firmAtMs(): number {
    return this.#firmAtMs;
  }

  note(deed: string): void {
    this.diary.push(deed);
    if (this.diary.length > DIARY_LENGTH) this.diary.shift();
  }

  /** After a deed. `firmAtMs`: Infinity if it must be confirmed first. */
  changed(firmAtMs = Number.POSITIVE_INFINITY): void {
    const before = this.#shown;
    this.#shown = this.#fold();
    if (before.status === 'offline' || this.#shown.status === 'offline') this.hidden();
    this.#firmFloorMs = 0;
    this.#firmAtMs = firmAtMs;
  }

  /** It is underway, and looks the same. */
  moving(): void {
    this.#quietUntilMs = performance.now() + OLD_SESSION_MS;
  }

  /** A client ended without a goodbye. */
  cut(): void {
    this.changed(performance.now() + OLD_SESSION_MS);
    this.#quietUntilMs = this.#firmAtMs;
    this.#firmFloorMs = this.#firmAtMs;
  }

  hidden(): void {
    this.#hiddenUntilMs = performance.now();
  }

  /** Follows the state of its node. Called ten times a second. */
  look(now: number): void {
    if (this.#shown.status === 'offline') this.#hiddenUntilMs = now;
    for (const { node, isWanted } of this.clients) {
      if (!isWanted || node === undefined || node.state === 'up') continue;
      this.moving();
      if (now - node.stateSinceMs < UNREACHABLE_MS) continue;
      this.#hiddenUntilMs = now;
      this.#firmFloorMs = now + RIGHT_WITHIN_MS;
      this.#firmAtMs = Math.max(this.#firmAtMs, this.#firmFloorMs);
    }
  }

  /** Whether a report that it is offline is a lie. */
  isFalselyOffline(now: number): boolean {
    return now - this.#hiddenUntilMs > LATE_REPORT_MS;
  }

  #fold(): Shown {
    const here = this.clients.filter(({ isWanted }) => isWanted);
    const status = ORDER.find((one) => here.some((client) => client.status === one));
    if (status === undefined || status === 'invisible') return OFFLINE;
    const devices = here.map(({ device }) => device).sort();
    return { status, code: states[status], devices, text: here.find(({ kind }) => kind === 'ws')?.text ?? '' };
  }
}
