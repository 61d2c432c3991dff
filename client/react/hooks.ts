/**
 * The React hooks. Each reads an external store that returns the same object until something changes, so React may
 * interrupt and repeat a render. On a server and during hydration, nothing is known yet.
 */
import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { ConnectionStatus, Entry, MyStatus, PresenceClient, PresenceView, Self } from '../sdk/index.ts';
import { useClientSource } from './provider.ts';
import { NOTHING, stateOf, subscribeTo, type ViewState } from './shared-views.ts';

export interface FriendsState extends ViewState {
  /** Online first, then busy, away and offline; sorted by id within each status. */
  readonly friends: readonly Entry[];
}

export interface FriendState extends Omit<ViewState, 'entries'> {
  /** undefined until it is known. */
  readonly friend: Entry | undefined;
}

export interface MyPresence {
  /**
   * The user's own presence over all devices, as the hub has it. Only here can it be `invisible`. null until it is
   * known.
   */
  readonly self: Self | null;
  readonly set: (what: MyStatus) => void;
  /** Reports activity, like input in the page. */
  readonly markActive: () => void;
  /** Says goodbye: the user is offline at once, and the client stays closed until the next `set`. */
  readonly leave: () => Promise<void>;
}

export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** The time since which the data may be out of date; null if it is current. */
  readonly staleSince: number | null;
  /** Returns the current time by the hub's clock, to compare with `since`, `lastSeen` and `staleSince`. */
  readonly hubNow: () => number;
}

/** Watches the friends of a user. Default: the client's own user. */
export function useFriends(user?: string): FriendsState {
  const state = useView(`friends of ${user ?? ''}`, (client) => client.watchFriends(user));
  return useMemo(() => ({ ...state, friends: inOrder(state.entries) }), [state]);
}

/** Watches one user, or nothing while `id` is undefined. */
export function useFriend(id: string | undefined): FriendState {
  const { entries, isSynced, staleSince, status, error } = useView(id === undefined ? id : `user ${id}`, (client) =>
    client.watch(id === undefined ? [] : [id]),
  );
  const friend = id === undefined ? undefined : entries.get(id);
  return useMemo(
    () => ({ friend, isSynced, staleSince, status, error }),
    [friend, isSynced, staleSince, status, error],
  );
}

export function useMyPresence(): MyPresence {
  const { set, leave } = useClientSource();
  const client = useClient();
  const subscribe = useCallback(
    (listener: () => void) => {
      if (client?.status === 'idle') client.connect();
      return client?.on('self', listener) ?? nothingToEnd;
    },
    [client],
  );
  const self = useSyncExternalStore(subscribe, () => client?.self ?? null, nobody);
  const markActive = useCallback(() => client?.markActive(), [client]);
  return useMemo(() => ({ self, set, markActive, leave }), [self, set, markActive, leave]);
}

export function useConnectionStatus(): ConnectionState {
  const client = useClient();
  const subscribe = useCallback(
    (listener: () => void) => {
      if (client === null) return nothingToEnd;
      const ends = [client.on('status', listener), client.on('stale', listener)];
      return () => ends.forEach((end) => end());
    },
    [client],
  );
  const status = useSyncExternalStore(subscribe, () => client?.status ?? 'idle', idle);
  const staleSince = useSyncExternalStore(subscribe, () => client?.staleSince ?? null, nobody);
  return useMemo(
    () => ({ status, staleSince, hubNow: () => client?.hubNow() ?? Date.now() }),
    [client, status, staleSince],
  );
}

/** Watches nothing without a key. */
function useView(key: string | undefined, open: (client: PresenceClient) => PresenceView): ViewState {
  const client = useClient();
  const subscribe = useCallback(
    (listener: () => void) =>
      client === null || key === undefined ? nothingToEnd : subscribeTo(client, key, () => open(client), listener),
    // `open` depends only on the client and the key.
    [client, key],
  );
  return useSyncExternalStore(subscribe, () => (key === undefined ? NOTHING : stateOf(client, key)), nothing);
}

function useClient(): PresenceClient | null {
  const source = useClientSource();
  return useSyncExternalStore(source.subscribe, () => source.client, nobody);
}

const nothing = () => NOTHING;
const nobody = () => null;
const idle = () => 'idle' as const;
const nothingToEnd = () => undefined;

const RANK = { online: 0, busy: 1, away: 2, offline: 3 } as const;
/** Cached by the map, which never changes, so that two components that show the same friends sort them once. */
const ordered = new WeakMap<ReadonlyMap<string, Entry>, readonly Entry[]>();

function inOrder(entries: ReadonlyMap<string, Entry>): readonly Entry[] {
  const known = ordered.get(entries);
  if (known !== undefined) return known;
  const sorted = [...entries.values()].sort((a, b) => RANK[a.status] - RANK[b.status] || (a.user < b.user ? -1 : 1));
  ordered.set(entries, sorted);
  return sorted;
}
