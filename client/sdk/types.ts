/**
 * The SDK's public API: what an app that imports `presence-hub/client` may call and receive. Types only. The contract's
 * own types come from shared.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { SessionStatus } from '../../shared/status.ts';
import type { PresenceError } from './error.ts';

/**
 * - `idle`: nothing to do yet; it connects at the first watch, `set()` or `connect()`.
 * - `connecting`: the first attempt.
 * - `connected`: welcomed by the hub.
 * - `reconnecting`: the connection was lost or an attempt failed; the client retries automatically.
 * - `disconnected`: like `reconnecting`, while the browser reports that it is offline.
 * - `closed`: final: `close()`, `leave()`, or a refusal that no retry can fix.
 */
export type ConnectionStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'closed';

/**
 * The part of a WebSocket that the SDK needs: the browser's class, Node's from version 22, and that of the package `ws`
 * all fit.
 */
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
  /** The hub: `http(s)://` or `ws(s)://`, with or without `/ws`. Default in a browser: the page's own origin. */
  readonly url?: string | URL | undefined;
  /** The user's id. Without it, the client is an observer, which watches and has no presence. */
  readonly user?: string | undefined;
  /** Returns a token, if the hub requires one. `refresh` means that the previous token is no longer good. */
  readonly getToken?: GetToken | undefined;
  /**
   * A label of the device. Default: `web` in a browser, `node` in Node.js, `app` elsewhere (React Native, Electron's
   * main process).
   */
  readonly device?: string | undefined;
  /** The initial status. Default: `online`. */
  readonly status?: SessionStatus | undefined;
  /** The initial text. Default: none. */
  readonly text?: string | undefined;
  /**
   * Reports `away` after this long without input in any tab, and `online` at the next input. Default: 5 minutes. Input
   * is a key, the wheel, a pointer or a touch in the page, the focus in one of its frames, and `markActive()`. Without
   * a page, it is only `markActive()`, from its first call on. A status other than `online` from `set()` is never
   * overridden. `false`: off.
   */
  readonly idle?: { readonly awayAfterMs?: number | undefined } | false | undefined;
  /**
   * `share` (default): one connection for all tabs of this browser with the same url, user and device. Observers with a
   * token do not share, because each tab's token may belong to another person.
   */
  readonly tabs?: 'share' | 'each' | undefined;
  /** The WebSocket class to use if the environment has none: in Node 20, that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
}
export type GetToken = (why: { readonly refresh: boolean }) => string | Promise<string>;

/** The user's own true status, as the hub reports it. `invisible` appears only here. */
export interface Self {
  readonly status: SessionStatus | 'offline';
  readonly text?: string | undefined;
  readonly devices: readonly string[];
}

export interface PresenceClient {
  readonly status: ConnectionStatus;
  /** The user's id; null for an observer. */
  readonly user: string | null;
  /**
   * The time since which the data may be out of date (the hub says so, or the client is not connected), by the hub's
   * clock; null if it is current.
   */
  readonly staleSince: number | null;
  /** Null until the hub has sent it. */
  readonly self: Self | null;
  /**
   * Returns the current time by the hub's clock, to compare with `since`, `lastSeen` and `staleSince`. This machine's
   * clock may be wrong.
   */
  hubNow(): number;
  /** Connects without a watch. Does nothing if the client is connected or closed. */
  connect(): void;
  /** Watches the friends of a user and follows changes of the friend list. Default: the client's own user. */
  watchFriends(user?: string): PresenceView;
  /** Watches exactly these users. */
  watch(ids: Iterable<string>): PresenceView;
  /** Sets the user's own status. Omitted fields stay. It survives lost connections. `text: ''` clears the text. */
  set(what: MyStatus): void;
  /**
   * Reports activity, like input in the page (see `idle`): for activity that causes no page events, such as a game
   * controller, a video that plays, or input in an app without a page. May be called as often as needed. Does nothing
   * before the client connects.
   */
  markActive(): void;
  /**
   * Checks within 5 s whether the connection is alive, and reconnects at once if there is none: for an app that knows
   * when its device woke up or its network changed, but has no window events for it (React Native, Electron).
   */
  check(): void;
  /**
   * Says goodbye, so that others see the user leave at once, then closes the client. With shared tabs, the last tab
   * says goodbye.
   */
  leave(): Promise<void>;
  /** Closes without a goodbye. Others see the user for the hub's grace, as after a reload. */
  close(): void;
  /** @returns a function that removes the listener. An abort of `signal` removes it too. */
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
  /** Why the connection ended: the close code and its meaning. */
  readonly reason?: { readonly code: number; readonly text: string } | undefined;
}

/** A live view of users. Ends with `close()`, or with its client. */
export interface PresenceView extends AsyncIterable<ViewChange> {
  /** The entries by user id. The same Map until something changes, then a new one: a Map is never modified. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether a snapshot has arrived at least once. */
  readonly isSynced: boolean;
  /** The time since which `entries` may be out of date, by the hub's clock; null if they are current. */
  readonly staleSince: number | null;
  readonly status: ConnectionStatus;
  /** Why the hub refuses this watch. It is requested again with a fresh token and with the next connection. */
  readonly error: PresenceError | null;
  get(user: string): Entry | undefined;
  /** @returns a function that removes the listener. An abort of `signal` removes it too. */
  on<K extends keyof ViewEvents>(
    type: K,
    listener: (event: ViewEvents[K]) => void,
    options?: ListenOptions,
  ): () => void;
  close(): void;
}

export interface ViewEvents {
  /** A snapshot arrived: the view is current. */
  sync: ViewChange;
  /**
   * `entries` changed, by a snapshot or otherwise. There is one event per message of the hub, however many users are in
   * it.
   */
  change: ViewChange;
  status: { readonly status: ConnectionStatus; readonly staleSince: number | null };
  error: PresenceError;
}

export interface ViewChange {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Includes new entries. */
  readonly changed: readonly Entry[];
  readonly removed: readonly string[];
  readonly isSnapshot: boolean;
}
