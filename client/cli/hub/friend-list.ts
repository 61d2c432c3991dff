/**
 * The state of one user's friends as a watcher knows it from the hub's messages. Pure. Returns which entries a message
 * changed, so that a list can be printed line by line.
 */
import type { Entry } from '../../../shared/messages/entry.ts';
import type { HubMessage, Snapshot } from '../../../shared/messages/hub-messages.ts';

/** The new entry of a friend, or a user who is no longer a friend. */
export type FriendChange =
  { readonly kind: 'entry'; readonly entry: Entry } | { readonly kind: 'removed'; readonly user: string };

export class FriendList {
  readonly #entries = new Map<string, Entry>();
  #at: number | undefined;

  /** The `at` from which to resume; undefined before the first snapshot. */
  get at(): number | undefined {
    return this.#at;
  }

  get size(): number {
    return this.#entries.size;
  }

  get countHere(): number {
    let here = 0;
    for (const { status } of this.#entries.values()) if (status !== 'offline') here += 1;
    return here;
  }

  /**
   * Returns online first, then busy, away and offline. Within each status, sorts by id with numbers in numeric order:
   * `ada.7` before `ada.12`.
   */
  sorted(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => rank[a.status] - rank[b.status] || byId(a.user, b.user));
  }

  apply(message: HubMessage): readonly FriendChange[] {
    switch (message.type) {
      case 'snapshot':
        return this.#applySnapshot(message);
      case 'presence':
        if (message.at !== undefined) this.#at = message.at;
        return message.entries.flatMap((entry) => this.#put(entry));
      case 'friend':
        return message.op === 'add' ? this.#put(message.entry) : this.#drop(message.user);
      default:
        return [];
    }
  }

  #applySnapshot(snapshot: Snapshot): readonly FriendChange[] {
    this.#at = snapshot.at;
    if (snapshot.since !== undefined) {
      const removed = (snapshot.removed ?? []).flatMap((user) => this.#drop(user));
      return [...removed, ...snapshot.entries.flatMap((entry) => this.#put(entry))];
    }
    const named = new Set(snapshot.entries.map(({ user }) => user));
    const removed = [...this.#entries.keys()].filter((user) => !named.has(user)).flatMap((user) => this.#drop(user));
    // A full snapshot replaces everything, including newer versions.
    return [...removed, ...snapshot.entries.flatMap((entry) => this.#replace(entry))];
  }

  #put(entry: Entry): readonly FriendChange[] {
    const known = this.#entries.get(entry.user);
    return known !== undefined && known.v >= entry.v ? [] : this.#replace(entry);
  }

  #replace(entry: Entry): readonly FriendChange[] {
    const known = this.#entries.get(entry.user);
    this.#entries.set(entry.user, entry);
    return known !== undefined && looksLike(known, entry) ? [] : [{ kind: 'entry', entry }];
  }

  #drop(user: string): readonly FriendChange[] {
    return this.#entries.delete(user) ? [{ kind: 'removed', user }] : [];
  }
}

const rank = { online: 0, busy: 1, away: 2, offline: 3 } as const satisfies Record<Entry['status'], number>;
const { compare: byId } = new Intl.Collator('en', { numeric: true });

function looksLike(a: Entry, b: Entry): boolean {
  return (
    a.status === b.status && a.code === b.code && a.text === b.text && a.devices.join('\n') === b.devices.join('\n')
  );
}
