/**
 * `<presence-friends>`: the friends of a user as a live list. Creates its own client unless it is given one. Connects
 * when it is inserted into a document, restarts when a relevant attribute changes, and stops when it is removed.
 * friend-watch.ts watches; friend-list.ts renders.
 */
import { createPresenceClient, type PresenceClient, type PresenceClientOptions } from '../sdk/index.ts';
import { FriendList } from './friend-list.ts';
import { FriendWatch } from './friend-watch.ts';

// A server has no HTMLElement, but must be able to load this module.
const Base = (globalThis.HTMLElement as typeof HTMLElement | undefined) ?? (class {} as typeof HTMLElement);

export class PresenceFriends extends Base {
  static readonly observedAttributes = ['url', 'user', 'token', 'device', 'observe', 'label'];

  #client: PresenceClient | null = null;
  #nameOf: ((user: string) => string) | null = null;
  #list: FriendList | undefined;
  #watch: FriendWatch | undefined;
  #isOutdated = false;
  #isDue = false;

  /** A client of the page, instead of one made from `url`, `token`, `device` and `observe`. */
  get client(): PresenceClient | null {
    return this.#client;
  }
  set client(client: PresenceClient | null) {
    if (client === this.#client) return;
    this.#client = client;
    this.#outdate();
  }

  /** Returns the display name of a user. Default: its id. */
  get nameOf(): ((user: string) => string) | null {
    return this.#nameOf;
  }
  set nameOf(nameOf: ((user: string) => string) | null) {
    this.#nameOf = nameOf;
    this.#list?.nameBy(nameOf);
    this.#watch?.show();
  }

  connectedCallback(): void {
    // A property that was set before the element was defined hides the accessor of that name.
    for (const name of ['client', 'nameOf'] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
    this.#settleSoon();
  }

  disconnectedCallback(): void {
    this.#settleSoon();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    // A healthy connection uses the new token when the hub asks for one.
    const isRenewal = name === 'token' && before !== null && after !== null && this.#watch?.isRefused === false;
    if (name === 'label') this.#list?.labelWith(after);
    else if (!isRenewal) this.#outdate();
  }

  #outdate(): void {
    this.#isOutdated = true;
    this.#settleSoon();
  }

  /**
   * Applies all changes of a turn together, so that an element that is moved, or set up attribute by attribute,
   * connects once.
   */
  #settleSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#watch !== undefined && this.isConnected && !this.#isOutdated) return;
    this.#watch?.end();
    this.#watch = undefined;
    this.#isOutdated = false;
    if (!this.isConnected) return;
    if (this.#list === undefined) {
      this.#list = new FriendList(this.attachShadow({ mode: 'open' }));
      this.#list.labelWith(this.getAttribute('label'));
      this.#list.nameBy(this.#nameOf);
    }
    this.#list.show(new Map(), '', 0);
    try {
      this.#watch = this.#begin(this.#list);
    } catch (error) {
      this.#list.show(new Map(), error instanceof Error ? error.message : String(error), 0);
    }
  }

  #begin(list: FriendList): FriendWatch {
    const user = this.getAttribute('user') ?? undefined;
    if (this.#client !== null) return new FriendWatch(this.#client, false, user, list);
    if (user === undefined) throw new Error('<presence-friends> needs the attribute user');
    return new FriendWatch(createPresenceClient(this.#options(user)), true, user, list);
  }

  #options(user: string): PresenceClientOptions {
    const [url, device] = [this.getAttribute('url'), this.getAttribute('device')];
    return {
      ...(url === null ? {} : { url }),
      ...(device === null ? {} : { device }),
      ...(this.hasAttribute('observe') ? {} : { user }),
      ...(this.hasAttribute('token') ? { getToken: () => this.getAttribute('token') ?? '' } : {}),
    };
  }
}
