/**
 * All views of a client, compared with what the hub was asked for on this connection. Requests only what is missing,
 * and passes incoming messages to the views that they concern. The client reports when there is a connection. What is
 * opened and closed in one turn of the loop is sent together.
 */
import type { Unwatch, Watch } from '../../shared/messages/client-messages.ts';
import type { HubMessage } from '../../shared/messages/hub-messages.ts';
import { inChunks } from './link/chunks.ts';
import { PresenceError } from './error.ts';
import { View, type ViewOwner } from './view.ts';

type Name = { readonly friendsOf: string } | { readonly users: string[] };
/** The names that messages of the hub can contain. */
interface Named {
  readonly friendsOf?: string;
  readonly users?: readonly string[];
  readonly re?: string | number;
}

interface Asked {
  readonly views: readonly View[];
  readonly keys: readonly string[];
}

/** The delay after an error that is not the watch's fault. */
const ASK_AGAIN_MS = 5_000;

export class Watching {
  readonly #send: (message: Watch | Unwatch) => void;
  readonly views = new Set<View>();
  /** Requests by message id, until they are answered. */
  readonly #asked = new Map<unknown, Asked>();
  #isConnected = false;
  #nextId = 0;
  readonly #toAsk = new Set<View>();
  /** Closed views that the hub was asked for. */
  readonly #toEnd = new Set<View>();
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (message: Watch | Unwatch) => void) {
    this.#send = send;
  }

  open(owner: string | undefined, keys: ReadonlySet<string>, client: ViewOwner): View {
    const view = new View(owner, keys, client, () => {
      this.views.delete(view);
      if (!this.#toAsk.delete(view)) this.#later(this.#toEnd, view);
    });
    this.views.add(view);
    this.#later(this.#toAsk, view);
    return view;
  }

  /**
   * Requests every watch on a new connection. Views that were refused before are requested alone, so that they do not
   * affect others.
   */
  connected(): void {
    this.#isConnected = true;
    this.#ask([...this.views].filter(({ error }) => error === null));
    this.askDenied();
  }

  /** Requests what was refused before, because it may be allowed now. */
  askDenied(): void {
    for (const view of this.views) {
      for (const key of view.denied) view.unanswered.add(key);
      if (view.error !== null) this.#ask([view]);
    }
  }

  lost(): void {
    this.#isConnected = false;
    clearTimeout(this.#again);
    for (const all of [this.#asked, this.#toAsk, this.#toEnd]) all.clear();
    for (const view of this.views) view.lost();
  }

  reportStatus(): void {
    for (const view of [...this.views]) view.reportStatus();
  }

  receive(message: HubMessage): void {
    const { type } = message;
    if (type === 'presence') {
      for (const view of this.views) view.presence(message.entries, message.at);
    } else if (type === 'error') {
      this.#refused(message);
    } else if (type === 'snapshot' || type === 'friend' || type === 'unwatched') {
      const { friendsOf: owner, users = [], re } = message as Named;
      const keys = owner === undefined ? users : [owner];
      // A message that answers no request is for all views that watch its users.
      const views = re === undefined ? this.views : (this.#asked.get(re)?.views ?? []);
      this.#asked.delete(re);
      for (const view of [...views]) {
        if (view.owner !== owner) continue;
        if (type === 'snapshot') view.snapshot(keys, message);
        else if (type === 'unwatched') view.deny(keys, new PresenceError('forbidden', 'no longer allowed'));
        else if (message.op === 'add') view.apply([message.entry]);
        else view.apply([], 'newer', [message.user]);
      }
    }
  }

  #later(all: Set<View>, view: View): void {
    if (this.#toAsk.size + this.#toEnd.size === 0) queueMicrotask(() => this.#flush());
    all.add(view);
  }

  #flush(): void {
    const left = new Set(this.#keysOf(this.views));
    const ended = [...new Set(this.#keysOf(this.#toEnd))].filter((key) => !left.has(key));
    for (const users of inChunks(ended)) this.#send({ type: 'unwatch', id: this.#nextId++, users });
    for (const { owner } of this.#toEnd) {
      if (owner === undefined || [...this.views].some((view) => view.owner === owner)) continue;
      this.#send({ type: 'unwatch', id: this.#nextId++, friendsOf: owner });
    }
    this.#ask([...this.#toAsk]);
    this.#toEnd.clear();
    this.#toAsk.clear();
  }

  #keysOf(views: ReadonlySet<View>): string[] {
    return [...views].flatMap(({ owner, keys }) => (owner === undefined ? [...keys] : []));
  }

  /** Requests what each view lacks. For known entries, requests only newer ones. */
  #ask(views: readonly View[]): void {
    if (!this.#isConnected) return;
    const unknown = new Set<string>();
    const known = new Set<string>();
    let since: number | undefined;
    for (const { owner, at, unanswered, entries } of views) {
      if (owner !== undefined) continue;
      for (const key of unanswered) {
        if (at === undefined || !entries.has(key)) unknown.add(key);
        else {
          known.add(key);
          since = Math.min(since ?? at, at);
        }
      }
    }
    const ofUsers = views.filter(({ owner }) => owner === undefined);
    for (const users of inChunks(unknown)) this.#watch(ofUsers, users, { users });
    for (const users of inChunks(known)) this.#watch(ofUsers, users, { users, since });
    for (const view of views) {
      const { owner, at } = view;
      if (owner !== undefined) this.#watch([view], [owner], { friendsOf: owner, since: at });
    }
  }

  #watch(views: readonly View[], keys: readonly string[], what: Name & { readonly since?: number | undefined }): void {
    const id = this.#nextId++;
    this.#asked.set(id, { views, keys });
    this.#send({ type: 'watch', id, ...what });
  }

  #refused({ re, code, message }: Extract<HubMessage, { type: 'error' }>): void {
    const asked = this.#asked.get(re);
    this.#asked.delete(re);
    if (code === 'internal' || code === 'rate_limited') {
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#ask([...this.views]), ASK_AGAIN_MS);
    } else if (asked?.views[1]) {
      // They were requested together, and one of them, which may be closed by now, caused the refusal.
      for (const view of asked.views) if (this.views.has(view)) this.#ask([view]);
    } else {
      asked?.views[0]?.deny(asked.keys, new PresenceError(code, message));
    }
  }
}
