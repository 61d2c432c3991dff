/**
 * The SDK's public API: what an app that imports `presence-hub/client` may call and is told, and nothing of how it is done.
 * Types alone; they run nowhere. The contract's own types come from shared.
 */
import type { Entry } from '../../shared/entry.ts';
import type { SessionStatus } from '../../shared/status.ts';
import type { PresenceError } from './error.ts';

/**
 * - `idle`: nothing to do yet; it connects at the first watch, `set()` or `connect()`.
 * - `connecting`: the first attempt.
 * - `connected`: welcomed by the hub.
 * - `reconnecting`: the connection was lost or an attempt failed; it tries again by itself.
 * - `disconnected`: as `reconnecting`, while the browser says that it is offline.
 * - `closed`: for good: `close()`, `leave()`, or a refusal that no retry mends.
 */
export type ConnectionStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'closed';

/** What the SDK needs of a WebSocket: the browser's own, Node's from 22 on and the package `ws` all fit. */
export interface WebSocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

export interface PresenceClientOptions {
  /** The hub: `http(s)://` or `ws(s)://`, with or without `/ws`. In a browser the page's own origin where it is left out. */
  readonly url?: string | URL | undefined;
  /** Who I am. Left out: an observer, who watches and has no presence of its own. */
  readonly user?: string | undefined;
  /** Gives a token, where the hub asks for one. With `refresh`, one that was given before is not good enough any more. */
  readonly getToken?: GetToken | undefined;
  /** A label of where I am; default: `web` in a browser, `node` in Node.js, `app` elsewhere (React Native, Electron's main process). */
  readonly device?: string | undefined;
  /** At first; `online` where it is left out. */
  readonly status?: SessionStatus | undefined;
  /** At first; none where it is left out. */
  readonly text?: string | undefined;
  /**
   * Reports `away` after that long without input in any tab, and `online` at the next input; 5 minutes if it is left out.
   * Input is a key, the wheel, a pointer or a touch in the page, the focus in a frame of it, and `markActive()`; without a
   * page only `markActive()`, from its first call on. A status that `set()` gave, other than `online`, is never overridden.
   * `false`: off.
   */
  readonly idle?: { readonly awayAfterMs?: number | undefined } | false | undefined;
  /**
   * `share` (default): one connection for all tabs of this browser with the same url, user and device; not of observers who
   * have a token, since it may be another's in each tab.
   */
  readonly tabs?: 'share' | 'each' | undefined;
  /** The WebSocket to use where there is none in the language: in Node 20, that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
}
export type GetToken = (why: { readonly refresh: boolean }) => string | Promise<string>;

/** My own true fold, as the hub tells it: `invisible` appears here only. */
export interface Self {
  readonly status: SessionStatus | 'offline';
  readonly text?: string | undefined;
  readonly devices: readonly string[];
}

export interface PresenceClient {
  readonly status: ConnectionStatus;
  /** Who I am; null for an observer. */
  readonly user: string | null;
  /** Since when what is shown may be behind (the hub says so, or it is not connected), by the hub's clock; null: fresh. */
  readonly staleSince: number | null;
  /** Null until the hub has told it. */
  readonly self: Self | null;
  /** The current time by the hub's clock, to compare with `since`, `lastSeen` and `staleSince`; this machine's may be wrong. */
  hubNow(): number;
  /** Connects without a watch. Does nothing where it is connected, or closed. */
  connect(): void;
  /** The friends of a user, following the friend list as it changes; of myself where it is left out. */
  watchFriends(user?: string): PresenceView;
  /** These users, and no others. */
  watch(ids: Iterable<string>): PresenceView;
  /** What I say of myself; what is left out stays. Holds over lost connections. `text: ''` clears it. */
  set(what: MyStatus): void;
  /**
   * Says that somebody is here, as input in the page does (see `idle`): for input that the page's events do not tell, such as
   * a game controller's, a video that somebody watches, or that of an app without a page. May be called as often as one likes.
   * Does nothing before the client connects.
   */
  markActive(): void;
  /**
   * Finds out within 5 s whether the connection is sound, and comes back at once if there is none: for an app that knows when
   * its device woke up or its network changed, where no window tells it (React Native, Electron).
   */
  check(): void;
  /** Says goodbye, so that others see me leave at once; then it is closed. With shared tabs the last one says it. */
  leave(): Promise<void>;
  /** Closes without a goodbye: for others I stay for the hub's grace, as after a reload. */
  close(): void;
  /** @returns what ends the listening; so does `signal`. */
  on<K extends keyof ClientEvents>(
    type: K,
    listener: (event: ClientEvents[K]) => void,
    options?: ListenOptions,
  ): () => void;
}

export interface MyStatus {
  readonly status?: SessionStatus | undefined;
  readonly text?: string | undefined;
}

export interface ListenOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ClientEvents {
  status: StatusChange;
  stale: { readonly staleSince: number | null };
  self: Self;
  error: PresenceError;
}

export interface StatusChange {
  readonly status: ConnectionStatus;
  readonly previous: ConnectionStatus;
  /** With `reconnecting` and `disconnected`: when the next attempt is due. */
  readonly retryInMs?: number | undefined;
  /** Why the connection ended: the close code and what it means. */
  readonly reason?: { readonly code: number; readonly text: string } | undefined;
}

/** A live view of users. Ends with `close()`, or with its client. */
export interface PresenceView extends AsyncIterable<ViewChange> {
  /** By user id. The same Map until something changes, then a new one: what was read before never changes. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether a snapshot has come at least once. */
  readonly isSynced: boolean;
  /** Since when `entries` may be behind, by the hub's clock; null: fresh. */
  readonly staleSince: number | null;
  readonly status: ConnectionStatus;
  /** Why the hub refuses this watch; it is asked again with a fresh token and with the next connection. */
  readonly error: PresenceError | null;
  get(user: string): Entry | undefined;
  /** @returns what ends the listening; so does `signal`. */
  on<K extends keyof ViewEvents>(
    type: K,
    listener: (event: ViewEvents[K]) => void,
    options?: ListenOptions,
  ): () => void;
  close(): void;
}

export interface ViewEvents {
  /** A snapshot came: the view is right as of now. */
  sync: ViewChange;
  /** `entries` changed, by a snapshot or otherwise: one event for each message of the hub, however many users are in it. */
  change: ViewChange;
  status: { readonly status: ConnectionStatus; readonly staleSince: number | null };
  error: PresenceError;
}

export interface ViewChange {
  readonly entries: ReadonlyMap<string, Entry>;
  /** New ones too. */
  readonly changed: readonly Entry[];
  readonly removed: readonly string[];
  readonly isSnapshot: boolean;
}
