/**
 * The source of the client for the hooks below a provider: a client that the app made, or one that lives while the
 * provider is mounted. A client made during a render would leak, and one closed in an effect's cleanup would end for
 * good each time StrictMode remounts. So it is made on mount, and closed one task after the last unmount.
 */
import { createPresenceClient, type MyStatus, type PresenceClient, type PresenceClientOptions } from '../sdk/index.ts';

export interface ClientSource {
  /** null on a server, until the provider is mounted, and until there is a user. */
  readonly client: PresenceClient | null;
  /** Notifies the listener when `client` is replaced. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly set: (what: MyStatus) => void;
  readonly leave: () => Promise<void>;
}

/** Wraps a client that the app made. The app closes it. */
export function givenSource(client: PresenceClient): ClientSource {
  return {
    client,
    subscribe: () => () => undefined,
    set: (what) => client.set(what),
    leave: () => client.leave(),
  };
}

export class MountedSource implements ClientSource {
  /** The options of the last render: `getToken` may be a new function each time. */
  options: PresenceClientOptions;
  #client: PresenceClient | null = null;
  /** The status that was set before there was a client, or on a client that is gone. The next client starts with it. */
  #said: MyStatus = {};
  #hasLeft = false;
  #closing: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(options: PresenceClientOptions) {
    this.options = options;
  }

  get client(): PresenceClient | null {
    return this.#client;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly set = (what: MyStatus): void => {
    this.#said = { ...this.#said, ...what };
    // A new status after a goodbye starts a new client.
    if (this.#hasLeft) this.#open();
    else this.#client?.set(what);
  };

  readonly leave = async (): Promise<void> => {
    if (this.#client === null) return;
    this.#hasLeft = true;
    await this.#client.leave();
  };

  /** Connects. Returns a function that disconnects. */
  mount(): () => void {
    clearTimeout(this.#closing);
    if (this.#client === null && !this.#isWaiting) this.#open();
    return () => {
      this.#closing = setTimeout(() => this.#close(), 0);
    };
  }

  /** The options have a `user` field, but the user is not known yet. */
  get #isWaiting(): boolean {
    return 'user' in this.options && this.options.user === undefined;
  }

  #open(): void {
    this.#hasLeft = false;
    const { getToken } = this.options;
    this.#client = createPresenceClient({
      ...this.options,
      ...this.#said,
      getToken: getToken && ((why) => (this.options.getToken ?? getToken)(why)),
    });
    this.#client.connect();
    this.#notify();
  }

  #close(): void {
    this.#client?.close();
    this.#client = null;
    this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
