/**
 * The observer: watches users by id and as friends of a user, and keeps a ledger of every change that it receives. Runs
 * in a separate process; judges nothing.
 */
import { tokenField } from '../lib/credentials.ts';
import { monotonicMs } from '../lib/pacing.ts';
import { serveRole } from '../lib/roles.ts';
import { readHubMessage, type Entry } from '../lib/hub-message.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient } from '../lib/ws-client.ts';

export interface ObserverTask {
  readonly port: number;
  readonly users: readonly string[];
  /** A user who follows all of them and is watched with `friendsOf`; without it, users are watched by id. */
  readonly follower?: string;
}

export interface OfflineReport {
  readonly user: string;
  readonly atMs: number;
}

export interface Ledger {
  /** Every time that a user was reported offline. */
  readonly offline: readonly OfflineReport[];
  readonly others: number;
  /** Users that the first snapshots showed offline. */
  readonly absent: number;
  readonly stales: number;
  readonly freshes: number;
  /** Observers that lost their connection, so that what they received is not complete. */
  readonly lost: number;
  readonly errors: readonly string[];
}

const USERS_A_WATCH = 1000;
const HEARTBEAT_MS = 5000;
const clients: WsClient[] = [];
const last = new Map<string, string>();
let offline: OfflineReport[] = [];
let others = 0;
let absent = 0;
let stales = 0;
let freshes = 0;
let lost = 0;
let errors: string[] = [];

const commands = {
  /** Watches, and answers how many entries the snapshots held. */
  watch: (task: ObserverTask): Promise<number> =>
    new Promise((resolve) => {
      const watches = watchesOf(task);
      let snapshots = 0;
      let entries = 0;
      const client = new WsClient({
        port: task.port,
        firstFrames: [textFrame({ type: 'hello', observe: true, ...tokenField(null) }), ...watches.map(textFrame)],
        onText: (text) => {
          const received = readHubMessage(text);
          if (received.type === 'snapshot') {
            snapshots += 1;
            entries += received.entries?.length ?? 0;
            noteSnapshot(received.entries ?? [], snapshots <= watches.length);
            if (snapshots === watches.length) resolve(entries);
          } else if (received.type === 'presence') note(received.entries ?? []);
          else if (received.type === 'stale') stales += 1;
          else if (received.type === 'fresh') freshes += 1;
          else if (received.type === 'error') errors.push(`${received.code ?? ''}: ${received.message ?? ''}`);
        },
        onEnd: (code) => {
          lost += 1;
          errors.push(`the observer’s connection ended with ${code}`);
        },
      });
      clients.push(client);
    }),
  /** Returns the ledger so far, and resets it. */
  ledger: (): Ledger => {
    const ledger = { offline, others, absent, stales, freshes, lost, errors };
    offline = [];
    others = 0;
    absent = 0;
    stales = 0;
    freshes = 0;
    errors = [];
    return ledger;
  },
  leave: (): void => {
    for (const client of clients.splice(0)) client.end('fin');
  },
};

export type ObserverCommands = typeof commands;

function watchesOf({ users, follower }: ObserverTask): readonly unknown[] {
  if (follower !== undefined) return [{ type: 'watch', friendsOf: follower }];
  return Array.from({ length: Math.ceil(users.length / USERS_A_WATCH) }, (_, part) => ({
    type: 'watch',
    users: users.slice(part * USERS_A_WATCH, (part + 1) * USERS_A_WATCH),
  }));
}

function note(entries: readonly Entry[]): void {
  for (const { user, status } of entries) {
    if (status === 'offline') offline.push({ user, atMs: monotonicMs() });
    else others += 1;
    last.set(user, status);
  }
}

/** A snapshot after the first one replaces dropped changes: what differs in it counts as reported. */
function noteSnapshot(entries: readonly Entry[], isFirst: boolean): void {
  if (!isFirst) note(entries.filter(({ user, status }) => last.get(user) !== status));
  else {
    absent += entries.filter(({ status }) => status === 'offline').length;
    for (const { user, status } of entries) last.set(user, status);
  }
}

const beat = textFrame({ type: 'heartbeat' });
setInterval(() => {
  for (const client of clients) client.send(beat);
}, HEARTBEAT_MS);

serveRole(commands);
