/**
 * One visit of one user: the SDK's client and the view of the friends, as one picture that changes at most once a
 * frame, however many changes arrive. Renders and stores nothing.
 */
import {
  createPresenceClient,
  type Entry,
  type PresenceClient,
  type PresenceView,
  type Self,
  type ViewChange,
} from '../sdk/index.ts';
import type { Mine } from './local-storage.ts';
import { Order } from '../ui/order.ts';
import { currentToken, isTokenWanted, nextToken, onToken, userOfToken } from './token.ts';
import type { Connection } from './descriptions.ts';

/** The viewer: the user, or an observer of that user's friends. */
export interface Who {
  readonly user: string;
  readonly isObserver: boolean;
}

/** The data of one frame. */
export interface Picture {
  /** The entries that match the search, in order. */
  readonly rows: readonly Entry[];
  readonly total: number;
  /** The number of friends that are not offline. */
  readonly here: number;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly connection: Connection;
  readonly isSynced: boolean;
  /** The user's own true status; null until it is known, and for an observer. */
  readonly self: Self | null;
}

const ASK = 'This hub requires a token. Enter it here, or add #token=… to the address of this page.';
const NOT_ACCEPTED = 'That token is invalid or has expired.';

export class Visit {
  readonly who: Who;
  readonly #client: PresenceClient;
  readonly #view: PresenceView;
  readonly #order = new Order();
  readonly #listeners = new Set<() => void>();
  readonly #stopTokens = onToken(() => this.#soon());
  #search = '';
  #frame: number | undefined;
  #reason: { readonly code: number; readonly text: string } | undefined;
  #picture: Picture;

  constructor(who: Who, mine: Mine) {
    this.who = who;
    this.#client = createPresenceClient({
      ...(who.isObserver ? {} : { user: who.user, status: mine.status, text: mine.text }),
      // Without a stored token, the page first connects without one, to find out whether the hub requires it.
      ...(currentToken() === undefined ? {} : { getToken }),
    });
    this.#view = this.#client.watchFriends(who.user);
    this.#client.on('status', ({ reason }) => {
      this.#reason = reason;
      this.#soon();
    });
    this.#client.on('self', () => this.#soon());
    for (const type of ['sync', 'change', 'status', 'error'] as const) this.#view.on(type, () => this.#soon());
    this.#picture = this.#look();
  }

  get picture(): Picture {
    return this.#picture;
  }

  hubNow(): number {
    return this.#client.hubNow();
  }

  /** @returns a function that removes the listener. */
  onPicture(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Receives every change, for listeners that must not miss one. @returns a function that removes the listener. */
  onChange(listener: (change: ViewChange) => void): () => void {
    return this.#view.on('change', listener);
  }

  search(text: string): void {
    this.#search = text;
    this.#take();
  }

  set(mine: Partial<Mine>): void {
    this.#client.set(mine);
  }

  /** Leaves with a goodbye, so that others see it at once. */
  end(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#listeners.clear();
    this.#stopTokens();
    void this.#client.leave();
  }

  #soon(): void {
    this.#frame ??= requestAnimationFrame(() => this.#take());
  }

  #take(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#picture = this.#look();
    for (const listener of this.#listeners) listener();
  }

  #look(): Picture {
    const { entries, isSynced } = this.#view;
    let here = 0;
    for (const { status } of entries.values()) if (status !== 'offline') here += 1;
    return {
      rows: this.#order.of(entries, this.#search),
      total: entries.size,
      here,
      entries,
      connection: this.#connection(),
      isSynced,
      self: this.#client.self,
    };
  }

  #connection(): Connection {
    const { status } = this.#client;
    const { error, isSynced, staleSince } = this.#view;
    if (status === 'closed') return this.#refusal();
    if (error !== null) {
      const isForbidden = error.code === 'forbidden';
      const why =
        (isForbidden ? this.#othersToken() : undefined) ??
        `The hub refuses to show the friends of ${this.who.user}: ${error.message}`;
      return { kind: 'refused', why, wantsToken: isForbidden, isOver: true };
    }
    // The SDK also requests a fresh token while connected, before the old one expires.
    const isTokenRefused = isTokenWanted() && status !== 'connected';
    if (!isSynced) {
      if (isTokenRefused) return { kind: 'refused', why: NOT_ACCEPTED, wantsToken: true, isOver: false };
      return { kind: 'connecting', isRetry: status === 'reconnecting' || status === 'disconnected' };
    }
    if (staleSince === null) return { kind: 'live' };
    return { kind: 'behind', since: staleSince, why: isTokenRefused ? 'token refused' : whyBehind(status) };
  }

  /** Explains why the client does not try again. */
  #refusal(): Connection {
    const hasToken = currentToken() !== undefined;
    const { code, text } = this.#reason ?? { code: 0, text: 'for good' };
    if (code === 4401) return { kind: 'refused', why: hasToken ? NOT_ACCEPTED : ASK, wantsToken: true, isOver: true };
    if (code === 4403) {
      // A user that was connected before has been removed since.
      const why = this.#view.isSynced ? 'An admin has ended this session.' : this.#othersToken();
      return {
        kind: 'refused',
        why: why ?? `This token is not valid for ${this.who.user}.`,
        wantsToken: hasToken,
        isOver: true,
      };
    }
    return { kind: 'refused', why: `The hub ended the connection: ${text}.`, wantsToken: false, isOver: true };
  }

  #othersToken(): string | undefined {
    const { user, isObserver } = this.who;
    const owner = userOfToken();
    if (owner === undefined || owner === user) return undefined;
    return `This token belongs to ${owner}, not to ${user}${isObserver ? `: it does not allow you to see the friends of ${user}` : ''}.`;
  }
}

function whyBehind(status: PresenceClient['status']): 'hub unsure' | 'no network' | 'reconnecting' {
  if (status === 'connected') return 'hub unsure';
  return status === 'disconnected' ? 'no network' : 'reconnecting';
}

/** The token that the hub may have refused. */
let handedOut: string | undefined;

/** Uses a token that was given when nobody waited for it, because it has not been tried yet. Asks only after that. */
function getToken({ refresh }: { readonly refresh: boolean }): string | Promise<string> {
  const token = currentToken();
  if (token === undefined || (refresh && token === handedOut)) return nextToken();
  handedOut = token;
  return token;
}
