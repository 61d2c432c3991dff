/**
 * One visit of one user: the SDK's client and the view of the friends, as one picture that changes at most once a frame,
 * however many changes come in. Renders nothing and keeps nothing. Called by home.
 */
import {
  createPresenceClient,
  type Entry,
  type PresenceClient,
  type PresenceView,
  type Self,
  type ViewChange,
} from '../sdk/index.ts';
import type { Mine } from './kept.ts';
import { Order } from './order.ts';
import { currentToken, nextToken } from './token.ts';
import type { Connection } from './words.ts';

/** Who looks: the user itself, or somebody who only watches that user's friends. */
export interface Who {
  readonly user: string;
  readonly isObserver: boolean;
}

/** What is to be seen, as of one frame. */
export interface Picture {
  /** Those that the search finds, in order. */
  readonly rows: readonly Entry[];
  readonly total: number;
  /** Not offline. */
  readonly here: number;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly connection: Connection;
  readonly isSynced: boolean;
  /** My own true fold; null before it is told, and for an observer. */
  readonly self: Self | null;
}

const ASK = 'This hub asks for a token: give it here, or open the page with #token=… at the end of its address.';

export class Session {
  readonly who: Who;
  readonly #client: PresenceClient;
  readonly #view: PresenceView;
  readonly #order = new Order();
  readonly #listeners = new Set<() => void>();
  #search = '';
  #frame: number | undefined;
  #reason: { readonly code: number; readonly text: string } | undefined;
  #picture: Picture;

  constructor(who: Who, mine: Mine) {
    this.who = who;
    this.#client = createPresenceClient({
      ...(who.isObserver ? {} : { user: who.user, status: mine.status, text: mine.text }),
      // Without a token the hub is asked first whether it wants one at all.
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

  /** @returns what ends it. */
  onPicture(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Each change as it comes, for whoever must not miss one. @returns what ends it. */
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

  /** Others see me leave at once. */
  end(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#listeners.clear();
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
    if (status === 'closed') return refusal(this.#reason);
    if (error !== null) {
      const why = `The hub does not show the friends of ${this.who.user}: ${error.message}`;
      return { kind: 'refused', why, wantsToken: error.code === 'forbidden' };
    }
    if (!isSynced) return { kind: 'connecting', isRetry: status === 'reconnecting' || status === 'disconnected' };
    if (staleSince === null) return { kind: 'live' };
    const why =
      status === 'connected' ? 'hub unsure' : status === 'disconnected' ? ('no network' as const) : 'reconnecting';
    return { kind: 'behind', since: staleSince, why };
  }
}

/** The one that the hub may have refused. */
let handedOut: string | undefined;

/** A token that was given while nobody listened any more has not been tried: it comes before another question. */
function getToken({ refresh }: { readonly refresh: boolean }): string | Promise<string> {
  const token = currentToken();
  if (token === undefined || (refresh && token === handedOut)) return nextToken();
  handedOut = token;
  return token;
}

function refusal(reason: { readonly code: number; readonly text: string } | undefined): Connection {
  if (reason?.code === 4401) return { kind: 'refused', why: ASK, wantsToken: true };
  if (reason?.code === 4403) {
    // Another token may be allowed what this one is not.
    const why = 'The hub does not allow this, or an admin has ended it.';
    return { kind: 'refused', why, wantsToken: currentToken() !== undefined };
  }
  return { kind: 'refused', why: `The hub ended the connection: ${reason?.text ?? 'for good'}.`, wantsToken: false };
}
