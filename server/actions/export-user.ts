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

interface ExportOptions {
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

export class Exporter {
  readonly #options: ExportOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ExportOptions) {
    this.#options = options;
  }

  /** One after another, because an export is in memory as a whole: 60 MB for a year at the limit of a day. */
  exportOf(user: string, reader: ExportReader): Promise<string> {
    const exported = this.#last.then(() => exportUser(this.#options, user, reader));
    this.#last = exported.catch(() => undefined);
    return exported;
  }
}

async function exportUser(options: ExportOptions, user: string, reader: ExportReader): Promise<string> {
  const { roster, historyStore, webhookQueue, users, explain } = options;
  const isSelf = reader === 'self';
  const { at, entry, sessions, transitions } = await explain(user);
  await roster.load([user]);
  const friends = roster.friendsOf(user);
  const isFriend = new Set(friends);
  const followers = await inSteps(options, (after) => roster.followersAfter(user, after, ROWS_AT_ONCE));
  const facts = {
    user,
    at,
    entry,
    sessions: reader === 'all' ? sessions : sessions.map(({ peerAddress: _, ...one }) => ({ ...one, address: null })),
    transitions,
    friends,
    followers: isSelf ? followers.filter((follower) => isFriend.has(follower)) : followers,
    blocks: [...(users.peek(user).hiddenFrom?.keys() ?? [])],
    ...(!isSelf && {
      blockedBy: await inSteps(options, (after) => options.store.blockersAfter(user, after)),
      webhookEvents: (await webhookQueue.eventsOf(user)).map((event): unknown => JSON.parse(event)),
    }),
    unknown: await historyStore.gaps(user, 0, Number.MAX_SAFE_INTEGER),
  };
  return `${JSON.stringify(facts).slice(0, -1)},"history":[${await historyOf(options, user)}]}`;
}

/** The transitions as JSON, with commas between them. */
async function historyOf({ historyStore, turns }: ExportOptions, user: string): Promise<string> {
  const parts: string[] = [];
  for (let from = 0; ;) {
    await turns.take(ROWS_AT_ONCE);
    const some = await historyStore.read(user, from, ROWS_AT_ONCE);
    if (some.length > 0) parts.push(JSON.stringify(some).slice(1, -1));
    if (some.length < ROWS_AT_ONCE) return parts.join(',');
    from = (some.at(-1)?.at ?? 0) + 1;
  }
}

async function inSteps({ turns }: ExportOptions, read: (after: string) => Maybe<readonly string[]>): Promise<string[]> {
  const all: string[] = [];
  for (let some = await read(''); some.length > 0; some = await read(all.at(-1) ?? '')) {
    for (const id of some) all.push(id);
    await turns.take(some.length);
  }
  return all;
}
