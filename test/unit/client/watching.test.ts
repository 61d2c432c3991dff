/**
 * What views show, against a hub of a few lines that keeps the contract's promises and nothing else: every seed is a story
 * of changes, friends that come and go, views opened and closed, and connections lost at any moment.
 */
import { describe, expect, it } from 'vitest';
import { Watching } from '../../../client/sdk/watching.ts';
import type { View } from '../../../client/sdk/view.ts';
import type { Unwatch, Watch } from '../../../shared/messages/client-messages.ts';
import type { Entry } from '../../../shared/messages/entry.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';

const USERS = Array.from({ length: 12 }, (_, i) => `u${i}`);
const OWNERS = ['a', 'b'];

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The truth, and one connection to it whose messages take their time. */
class Hub {
  now = 1;
  readonly entries = new Map(USERS.map((user) => [user, entryOf(user, 0, 'offline')]));
  /** When each friendship began, and ended. */
  readonly added = new Map(OWNERS.map((owner) => [owner, new Map<string, number>()]));
  readonly removed = new Map(OWNERS.map((owner) => [owner, new Map<string, number>()]));
  readonly lists = new Set<string>();
  readonly ids = new Set<string>();
  readonly onItsWay: HubMessage[] = [];
  readonly forbidden = 'u11';

  change(user: string, status: Entry['status']): void {
    const entry = entryOf(user, ++this.now, status);
    this.entries.set(user, entry);
    const isWatched = this.ids.has(user) || [...this.lists].some((owner) => this.added.get(owner)!.has(user));
    if (isWatched) this.onItsWay.push({ type: 'presence', entries: [entry], at: this.now });
  }

  befriend(owner: string, user: string): void {
    if (this.added.get(owner)!.has(user)) return;
    this.added.get(owner)!.set(user, ++this.now);
    this.removed.get(owner)!.delete(user);
    const entry = this.entries.get(user)!;
    if (this.lists.has(owner)) this.onItsWay.push({ type: 'friend', friendsOf: owner, op: 'add', entry });
  }

  unfriend(owner: string, user: string): void {
    if (!this.added.get(owner)!.delete(user)) return;
    this.removed.get(owner)!.set(user, ++this.now);
    if (this.lists.has(owner)) this.onItsWay.push({ type: 'friend', friendsOf: owner, op: 'remove', user });
  }

  take(message: Watch | Unwatch): void {
    const re = message.id;
    if (message.type === 'unwatch') {
      if ('friendsOf' in message) {
        this.lists.delete(message.friendsOf);
        this.onItsWay.push({ type: 'unwatched', re, friendsOf: message.friendsOf });
      } else {
        for (const id of message.users) this.ids.delete(id);
        this.onItsWay.push({ type: 'unwatched', re, users: message.users });
      }
      return;
    }
    const { since } = message;
    const isNews = (user: string): boolean => since === undefined || this.entries.get(user)!.v > since;
    if ('friendsOf' in message) {
      const owner = message.friendsOf;
      this.lists.add(owner);
      const [added, removed] = [this.added.get(owner)!, this.removed.get(owner)!];
      const users = [...added].filter(([user, at]) => isNews(user) || at > since!).map(([user]) => user);
      const gone = [...removed].filter(([, at]) => since !== undefined && at > since).map(([user]) => user);
      const entries = users.map((user) => this.entries.get(user)!);
      const partial = since === undefined ? {} : { since, removed: gone };
      this.onItsWay.push({ type: 'snapshot', re, friendsOf: owner, at: this.now, entries, ...partial });
      return;
    }
    if (message.users.includes(this.forbidden)) {
      this.onItsWay.push({ type: 'error', re, code: 'forbidden', message: 'no' });
      return;
    }
    for (const id of message.users) this.ids.add(id);
    const entries = message.users.filter(isNews).map((user) => this.entries.get(user)!);
    const partial = since === undefined ? {} : { since, removed: [] };
    this.onItsWay.push({ type: 'snapshot', re, users: message.users, at: this.now, entries, ...partial });
  }

  /** The connection is gone, with all that was on its way. */
  lose(): void {
    this.lists.clear();
    this.ids.clear();
    this.onItsWay.length = 0;
  }

  truthOf(view: View): Map<string, Entry> {
    const users = view.owner === undefined ? [...view.keys] : [...this.added.get(view.owner)!.keys()];
    return new Map(users.map((user) => [user, this.entries.get(user)!]));
  }
}

function entryOf(user: string, v: number, status: Entry['status']): Entry {
  return { user, status, code: 1, since: v, lastSeen: v, devices: [], v };
}

async function checkViews(seed: number): Promise<void> {
  const random = randomOf(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const hub = new Hub();
  const watching = new Watching((message) => hub.take(message));
  const owner = { status: 'connected' as const, staleSinceOf: () => null };
  const views = new Map<View, Map<string, Entry>>();
  let isConnected = false;
  const receive = (): void => {
    const message = hub.onItsWay.shift();
    if (message !== undefined) watching.receive(message);
  };
  const open = (): void => {
    const ids = USERS.filter(() => random() < 0.3);
    const list = random() < 0.5 ? pick(OWNERS) : undefined;
    const view = watching.open(list, new Set(list === undefined ? ids : [list]), owner);
    // What the events say is what the view shows: they are replayed into a Map of the test's own.
    const replayed = new Map<string, Entry>();
    view.on('change', ({ changed, removed, entries }) => {
      for (const user of removed) replayed.delete(user);
      for (const entry of changed) replayed.set(entry.user, entry);
      expect([...replayed].sort(), `seed ${seed}`).toEqual([...entries].sort());
    });
    views.set(view, replayed);
  };
  for (let step = 0; step < 150; step++) {
    const dice = random();
    if (dice < 0.35) hub.change(pick(USERS), pick(['online', 'away', 'offline']));
    else if (dice < 0.45) hub.befriend(pick(OWNERS), pick(USERS));
    else if (dice < 0.52) hub.unfriend(pick(OWNERS), pick(USERS));
    else if (dice < 0.6) open();
    else if (dice < 0.64 && views.size > 0) {
      const view = pick([...views.keys()]);
      view.close();
      views.delete(view);
    } else if (dice < 0.68) {
      hub.lose();
      watching.lost();
      isConnected = false;
    } else if (dice < 0.75 && !isConnected) {
      isConnected = true;
      watching.connected();
    } else receive();
    if (random() < 0.3) await Promise.resolve();
  }
  if (!isConnected) watching.connected();
  await Promise.resolve();
  while (hub.onItsWay.length > 0) receive();
  for (const view of views.keys()) {
    const isForbidden = view.owner === undefined && view.keys.has(hub.forbidden);
    if (isForbidden) {
      expect(view.error?.code, `seed ${seed}`).toBe('forbidden');
      continue;
    }
    expect(view.unanswered.size, `seed ${seed}`).toBe(0);
    expect([...view.entries].sort(), `seed ${seed}`).toEqual([...hub.truthOf(view)].sort());
  }
  const wanted = new Set([...views.keys()].flatMap(({ owner, keys }) => (owner === undefined ? [...keys] : [])));
  for (const id of hub.ids) expect(wanted.has(id), `seed ${seed}: ${id} is watched for nobody`).toBe(true);
}

describe('views', () => {
  it('show the truth at the end of 400 stories, whatever is lost on the way', async () => {
    const first = Number(process.env['SEED'] ?? 1);
    for (let seed = first; seed < first + 400; seed++) await checkViews(seed);
  });

  it('keep their Map if a snapshot changes nothing', () => {
    const hub = new Hub();
    const watching = new Watching((message) => hub.take(message));
    watching.connected();
    const view = watching.open(undefined, new Set(['u1']), { status: 'connected', staleSinceOf: () => null });
    const entry = hub.entries.get('u1')!;
    watching.receive({ type: 'snapshot', users: ['u1'], at: 5, entries: [entry] });
    const { entries } = view;
    watching.receive({ type: 'snapshot', users: ['u1'], at: 6, entries: [{ ...entry }] });
    expect(view.entries).toBe(entries);
    expect(view.get('u1')).toBe(entry);
  });

  it('take a full snapshot with lower versions, and no older presence', () => {
    const hub = new Hub();
    const watching = new Watching((message) => hub.take(message));
    watching.connected();
    const view = watching.open(undefined, new Set(['u1']), { status: 'connected', staleSinceOf: () => null });
    watching.receive({ type: 'snapshot', users: ['u1'], at: 9, entries: [entryOf('u1', 8, 'online')] });
    watching.receive({ type: 'presence', entries: [entryOf('u1', 7, 'away')] });
    expect(view.get('u1')?.status).toBe('online');
    watching.receive({ type: 'snapshot', users: ['u1'], at: 5, entries: [entryOf('u1', 3, 'busy')] });
    expect(view.get('u1')?.status).toBe('busy');
  });
});
