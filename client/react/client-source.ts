/**
 * Where the hooks below a provider have their client from: one that the app made, or one that lives as long as the
 * provider is mounted. Making one in a render would leak it, and closing it in an effect's cleanup would end it for good
 * each time StrictMode unmounts and mounts again: so it is made when mounted, and closed a task after the last unmount.
 */
import { createPresenceClient, type MyStatus, type PresenceClient, type PresenceClientOptions } from '../sdk/index.ts';

export interface ClientSource {
  /** null on a server, until the provider is mounted, and until there is a user. */
  readonly client: PresenceClient | null;
  /** Tells when `client` is another one. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly set: (what: MyStatus) => void;
  readonly leave: () => Promise<void>;
}

/** A client that the app made, and closes itself. */
export function givenSource(client: PresenceClient): ClientSource {
  return {
    client,
    subscribe: () => () => undefined,
    set: (what) => client.set(what),
    leave: () => client.leave(),
  };
}

export class MountedSource implements ClientSource {
  /** Those of the last render: `getToken` may be another function each time. */
  options: PresenceClientOptions;
  #client: PresenceClient | null = null;
  /** What was set before there was a client, or at one that is gone: the next one begins with it. */
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
    // Whoever says something after a goodbye is back.
    if (this.#hasLeft) this.#open();
    else this.#client?.set(what);
  };

  readonly leave = async (): Promise<void> => {
    if (this.#client === null) return;
    this.#hasLeft = true;
    await this.#client.leave();
  };

  /** Connects; answers what takes that back. */
  mount(): () => void {
    clearTimeout(this.#closing);
    if (this.#client === null && !this.#isWaiting) this.#open();
    return () => {
      this.#closing = setTimeout(() => this.#close(), 0);
    };
  }

  /** There is to be a user, and there is none yet. */
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
    this.#tell();
  }

  #close(): void {
    this.#client?.close();
    this.#client = null;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
