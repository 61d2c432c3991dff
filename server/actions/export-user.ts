/**
 * Writes everything that is stored of a user as JSON, in small steps, so that other work runs between them. The user
 * itself is shown what it may know: no addresses, no blocks of others, nobody who follows it without being its friend,
 * and nothing of the operator's rules.
 */
import type { Explanation } from '../../shared/messages/explain.ts';
import type { HistorySource } from '../history/port.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import type { Users } from '../presence/users.ts';
import type { Maybe, Roster } from '../roster/port.ts';
import type { Store } from '../storage/port.ts';
import type { EventQueue } from '../webhooks/queue.ts';

/** Who reads: the user itself, or somebody who may read everything, with or without addresses. */
export type ExportReader = 'self' | 'all' | 'all_without_addresses';

export interface ExportOptions {
  readonly roster: Pick<Roster, 'load' | 'friendsOf' | 'followersAfter'>;
  readonly store: {
    /** See `Store.blockersAfter`. */
    blockersAfter(viewer: string, after: string): ReturnType<Store['blockersAfter']> | Promise<readonly string[]>;
  };
  readonly historyStore: Pick<HistorySource, 'read' | 'gaps'>;
  readonly webhookQueue: Pick<EventQueue, 'eventsOf'>;
  readonly users: Pick<Users, 'peek'>;
  readonly turns: Pick<TurnBudget, 'take'>;
  readonly explain: (user: string) => Promise<Explanation>;
}

const ROWS_AT_ONCE = 1000;

/**
 * Reads the export in parts, which together are one JSON object. A part has at most some 100 kB, so an export of any
 * size needs little memory, and takes as long as its reader does.
 */
export async function* exportUser(
  options: ExportOptions,
  user: string,
  reader: ExportReader,
): AsyncGenerator<string, void, void> {
  const { roster, historyStore, webhookQueue, users, explain } = options;
  const isSelf = reader === 'self';
  const { at, entry, sessions, transitions } = await explain(user);
  await roster.load([user]);
  const friends = roster.friendsOf(user);
  const shownSessions =
    reader === 'all' ? sessions : sessions.map(({ peerAddress: _, ...one }) => ({ ...one, address: null }));
  yield open({ user, at, entry, sessions: shownSessions, transitions, friends });
  const isFriend = isSelf ? new Set(friends) : undefined;
  yield* list(
    'followers',
    idsInSteps(options, (after) => roster.followersAfter(user, after, ROWS_AT_ONCE), isFriend),
  );
  yield `,"blocks":${JSON.stringify([...(users.peek(user).hiddenFrom?.keys() ?? [])])}`;
  if (!isSelf) {
    yield* list(
      'blockedBy',
      idsInSteps(options, (after) => options.store.blockersAfter(user, after)),
    );
    yield `,"webhookEvents":[${(await webhookQueue.eventsOf(user)).join(',')}]`;
  }
  yield `,"unknown":${JSON.stringify(await historyStore.gaps(user, 0, Number.MAX_SAFE_INTEGER))}`;
  yield* list('history', historyInSteps(options, user));
  yield '}';
}

/** The beginning of a JSON object that has more fields. */
function open(fields: object): string {
  return JSON.stringify(fields).slice(0, -1);
}

/** A field whose value is a list that is read in steps. */
async function* list(name: string, steps: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let before = `,"${name}":[`;
  for await (const some of steps) {
    if (some.length === 0) continue;
    yield before + JSON.stringify(some).slice(1, -1);
    before = ',';
  }
  yield before === ',' ? ']' : `${before}]`;
}

async function* historyInSteps({ historyStore, turns }: ExportOptions, user: string) {
  for (let from = 0; ;) {
    await turns.take(ROWS_AT_ONCE);
    const some = await historyStore.read(user, from, ROWS_AT_ONCE);
    yield some;
    if (some.length < ROWS_AT_ONCE) return;
    from = (some.at(-1)?.at ?? 0) + 1;
  }
}

/** Ids in byte order. `only` leaves out all others. */
async function* idsInSteps(
  { turns }: ExportOptions,
  read: (after: string) => Maybe<readonly string[]>,
  only?: ReadonlySet<string>,
): AsyncGenerator<readonly string[]> {
  for (let some = await read(''); some.length > 0; some = await read(some.at(-1) ?? '')) {
    await turns.take(some.length);
    yield only === undefined ? some : some.filter((id) => only.has(id));
  }
}
