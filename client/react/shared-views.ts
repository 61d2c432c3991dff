/**
 * One view of the SDK for all components that watch the same: opened with the first that subscribes, never in a render,
 * and closed a second after the last has gone, so that StrictMode, a change of page or rows that scroll out and in again
 * cost no second snapshot and show no empty list.
 */
import {
  PresenceError,
  type ConnectionStatus,
  type Entry,
  type PresenceClient,
  type PresenceView,
} from '../sdk/index.ts';

const LINGER_MS = 1000;

/** What a view shows at one moment; the same object until something of it changes. */
export interface ViewState {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether a snapshot has come: before that an empty list says nothing. */
  readonly isSynced: boolean;
  /** Since when this may be behind; null: it is fresh. */
  readonly staleSince: number | null;
  readonly status: ConnectionStatus;
  readonly error: PresenceError | null;
}

/** Before anything is known, and all that a server knows. */
export const NOTHING: ViewState = {
  entries: new Map(),
  isSynced: false,
  staleSince: null,
  status: 'idle',
  error: null,
};

/** A client that is closed opens no view any more. */
const CLOSED: ViewState = { ...NOTHING, status: 'closed' };

interface SharedView {
  /** undefined if it could not be opened: `state` then says why. */
  readonly view: PresenceView | undefined;
  readonly listeners: Set<() => void>;
  state: ViewState;
  closing: ReturnType<typeof setTimeout> | undefined;
}

const viewsOf = new WeakMap<PresenceClient, Map<string, SharedView>>();

/** Subscribes to the view of this key, and opens it where nobody else does; answers what ends that. */
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

/** What the view of this key shows now. */
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
    // A bad id, for example. It must not end the whole tree of components.
    if (!(error instanceof PresenceError)) throw error;
    return { view: undefined, listeners, state: { ...NOTHING, error }, closing: undefined };
  }
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };
  for (const type of ['sync', 'change', 'status', 'error'] as const) view.on(type, tell);
  return { view, listeners, state: NOTHING, closing: undefined };
}

function join(shared: SharedView, listener: () => void, end: () => void): () => void {
  clearTimeout(shared.closing);
  // Wrapped: one listener may subscribe twice.
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
