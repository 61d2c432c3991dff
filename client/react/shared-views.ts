/**
 * Shares one SDK view among all components that watch the same users. A view opens with its first subscriber, never
 * during a render, and closes a second after its last subscriber has gone. So StrictMode, a page change, or rows that
 * scroll out and back cost no second snapshot and show no empty list.
 */
import {
  PresenceError,
  type ConnectionStatus,
  type Entry,
  type PresenceClient,
  type PresenceView,
} from '../sdk/index.ts';

const LINGER_MS = 1000;

/** What a view shows at one moment. It is the same object until something changes. */
export interface ViewState {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether a snapshot has arrived. Before that, an empty list means nothing. */
  readonly isSynced: boolean;
  /** The time since which this may be out of date; null if it is current. */
  readonly staleSince: number | null;
  readonly status: ConnectionStatus;
  readonly error: PresenceError | null;
}

/** The state before anything is known, and always on a server. */
export const NOTHING: ViewState = {
  entries: new Map(),
  isSynced: false,
  staleSince: null,
  status: 'idle',
  error: null,
};

/** A closed client opens no views. */
const CLOSED: ViewState = { ...NOTHING, status: 'closed' };

interface SharedView {
  /** undefined if it could not be opened. `state` then holds the error. */
  readonly view: PresenceView | undefined;
  readonly listeners: Set<() => void>;
  state: ViewState;
  closing: ReturnType<typeof setTimeout> | undefined;
}

const viewsOf = new WeakMap<PresenceClient, Map<string, SharedView>>();

/** Subscribes to the view of this key, and opens it if there is none. Returns a function that unsubscribes. */
export function subscribeTo(
  client: PresenceClient,
  key: string,
  open: () => PresenceView,
  listener: () => void,
): () => void {
  const views = viewsOf.get(client) ?? new Map<string, SharedView>();
  viewsOf.set(client, views);
  let shared = views.get(key);
  if (shared === undefined) {
    if (client.status === 'closed') return () => undefined;
    views.set(key, (shared = openView(open)));
  }
  return join(shared, listener, () => {
    views.delete(key);
    shared.view?.close();
  });
}

export function stateOf(client: PresenceClient | null, key: string): ViewState {
  const shared = client === null ? undefined : viewsOf.get(client)?.get(key);
  if (shared === undefined) return client?.status === 'closed' ? CLOSED : NOTHING;
  if (shared.view === undefined) return shared.state;
  const { entries, isSynced, staleSince, status, error } = shared.view;
  const now: ViewState = { entries, isSynced, staleSince, status, error };
  if (!isEqual(now, shared.state)) shared.state = now;
  return shared.state;
}

function openView(open: () => PresenceView): SharedView {
  const listeners = new Set<() => void>();
  let view: PresenceView;
  try {
    view = open();
  } catch (error) {
    // For example, a bad id. It must not unmount the whole component tree.
    if (!(error instanceof PresenceError)) throw error;
    return { view: undefined, listeners, state: { ...NOTHING, error }, closing: undefined };
  }
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  for (const type of ['sync', 'change', 'status', 'error'] as const) view.on(type, notify);
  return { view, listeners, state: NOTHING, closing: undefined };
}

function join(shared: SharedView, listener: () => void, end: () => void): () => void {
  clearTimeout(shared.closing);
  // Wrapped, because one listener may subscribe twice.
  const mine = () => listener();
  shared.listeners.add(mine);
  return () => {
    shared.listeners.delete(mine);
    if (shared.listeners.size === 0) shared.closing = setTimeout(end, LINGER_MS);
  };
}

function isEqual(one: ViewState, other: ViewState): boolean {
  return (Object.keys(one) as (keyof ViewState)[]).every((field) => one[field] === other[field]);
}
