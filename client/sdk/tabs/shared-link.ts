/**
 * One link for many tabs: sends the calls of all tabs to the hub, and the hub's messages to the tabs that they concern.
 * Runs in the SharedWorker or in the leading tab. Holds no entries: each tab requests its own, with its own `since`.
 */
import type { Unwatch, Watch } from '../../../shared/messages/client-messages.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { inChunks } from '../link/chunks.ts';
import { HubLink } from '../link/hub-link.ts';
import type { LinkStatus } from '../link/link.ts';
import type { FromTab, Port, SharedOptions, ToTab } from './tab-protocol.ts';
import type { TokenQuestion } from '../link/token-question.ts';
import type { MyStatus, WebSocketConstructor } from '../types.ts';

const JUST_NOW_MS = 5_000;
const ASK_AFTER_MS = 5_000;
const SILENT_AFTER_MS = 15_000;

/** A tab, with what it watches on this connection. */
class Tab {
  readonly port: Port<ToTab>;
  readonly owners = new Set<string>();
  readonly ids = new Set<string>();
  /** When its last message arrived. */
  receivedAt = performance.now();
  /** When it was asked for a sign of life that has not come. */
  askedAt = Infinity;

  constructor(port: Port<ToTab>) {
    this.port = port;
  }

  get isSilent(): boolean {
    return performance.now() > this.askedAt + SILENT_AFTER_MS;
  }
}

export class SharedLink {
  readonly #link: HubLink;
  readonly #onEmpty: () => void;
  /** The tab whose message is the latest is last. */
  readonly #tabs = new Set<Tab>();
  #status: LinkStatus = { status: 'idle', receivedAt: 0 };
  /**
   * The user's own status. All tabs know it, including later ones, because the next holder of the connection starts
   * with it.
   */
  #mine: MyStatus;
  /** The last input in any tab. */
  #inputAt = -Infinity;
  /** Whether any tab reports input, so that away may be reported. */
  #hasIdle = false;
  /** The messages that a new tab must receive first. */
  readonly #latest = new Map<HubMessage['type'], HubMessage>();
  readonly #asked = new Map<number, { readonly tab: Tab; readonly id: Watch['id'] }>();
  #question: TokenQuestion | undefined;
  #nextId = 0;

  constructor(options: SharedOptions, WebSocket: WebSocketConstructor, onEmpty: () => void) {
    const getToken = options.hasToken ? (why: { refresh: boolean }) => this.#token(why) : undefined;
    this.#onEmpty = onEmpty;
    this.#mine = options.mine;
    this.#link = new HubLink(
      { ...options, WebSocket, getToken },
      {
        onStatus: (status) => this.#heed(status),
        onMessage: (message) => this.#receive(message),
        onError: ({ code, message, isFinal }) => this.#broadcast(['onError', code, message, isFinal]),
      },
    );
  }

  /** @returns a function that handles the tab's messages. */
  attach(port: Port<ToTab>): (word: FromTab) => void {
    const tab = new Tab(port);
    this.#tabs.add(tab);
    this.#greet(tab);
    return (word) => {
      if (this.#tabs.delete(tab)) {
        const { isSilent } = tab;
        tab.receivedAt = performance.now();
        tab.askedAt = Infinity;
        if (isSilent) this.#greet(tab);
        this.#tabs.add(tab);
        this.#take(tab, word);
      }
    };
  }

  /** Sends the current state, after which the tab requests what it watches. */
  #greet(tab: Tab): void {
    if (this.#status.status !== 'idle') this.#post(tab, ['onStatus', this.#status]);
    this.#post(tab, ['set', this.#mine]);
    for (const message of this.#latest.values()) this.#post(tab, ['onMessage', message]);
  }

  /** Sends nothing more to a silent tab: if it is frozen, it would receive all of it at once when it resumes. */
  #post(tab: Tab, word: ToTab): void {
    if (tab.isSilent) return;
    tab.port.postMessage(word);
    const now = performance.now();
    if (tab.askedAt < now || now < tab.receivedAt + ASK_AFTER_MS) return;
    tab.askedAt = now;
    tab.port.postMessage(['ask']);
  }

  /**
   * Prepares for a freeze of the page that holds the connection, because it could not report away later.
   * @returns whether another tab should hold the connection: one that was used a moment ago is not frozen.
   */
  freeze(): boolean {
    if (this.#tabs.size > 1 && this.#inputAgoMs < JUST_NOW_MS) return true;
    if (this.#hasIdle) this.#link.input(0);
    return false;
  }

  /** Ends this link because another tab holds the connection from now on. */
  abandon(): void {
    this.#tabs.clear();
    this.#link.close();
  }

  #take(tab: Tab, word: FromTab): void {
    switch (word[0]) {
      case 'send':
        this.#send(tab, word[1]);
        break;
      case 'set':
        this.#mine = { ...this.#mine, ...word[1] };
        this.#inputAt = performance.now();
        this.#broadcast(word);
        this.#link.set(word[1]);
        break;
      case 'leave':
        if (this.#tabs.size === 1) this.#link.leave();
        else this.#part(tab);
        break;
      case 'close':
        this.#part(tab);
        break;
      case 'token':
        this.#question?.take(tab, word[1], word[2], word[3]);
        break;
      case 'ping':
        tab.port.postMessage(['pong', word[1] - this.#inputAgoMs]);
        break;
      case 'input':
        this.#hasIdle = true;
        this.#inputAt = Math.max(this.#inputAt, performance.now() - (word[2] ?? 0));
        this.#link.input(word[1], this.#inputAgoMs);
        break;
      case 'open':
        break;
      default:
        this.#link[word[0]]();
    }
  }

  get #inputAgoMs(): number {
    return performance.now() - this.#inputAt;
  }

  /** Ends the tab's watches. The last tab closes the connection. */
  #part(tab: Tab): void {
    this.#tabs.delete(tab);
    tab.port.postMessage(['onStatus', { status: 'closed', receivedAt: 0 }]);
    tab.port.close();
    if (this.#tabs.size === 0) return this.#link.close();
    for (const friendsOf of tab.owners) this.#unwatch({ friendsOf });
    this.#unwatch({ users: [...tab.ids] });
  }

  #send(tab: Tab, message: Watch | Unwatch): void {
    const change = message.type === 'watch' ? 'add' : 'delete';
    if ('friendsOf' in message) tab.owners[change](message.friendsOf);
    else for (const user of message.users) tab.ids[change](user);
    if (message.type === 'unwatch') return this.#unwatch(message);
    const id = this.#nextId++;
    this.#asked.set(id, { tab, id: message.id });
    this.#link.send({ ...message, id });
  }

  /** Ends the watches that no other tab has. */
  #unwatch(what: { readonly friendsOf: string } | { readonly users: readonly string[] }): void {
    const tabs = [...this.#tabs];
    if ('friendsOf' in what) {
      if (tabs.some(({ owners }) => owners.has(what.friendsOf))) return;
      this.#link.send({ type: 'unwatch', id: this.#nextId++, friendsOf: what.friendsOf });
      return;
    }
    const users = what.users.filter((user) => !tabs.some(({ ids }) => ids.has(user)));
    for (const some of inChunks(users)) this.#link.send({ type: 'unwatch', id: this.#nextId++, users: some });
  }

  #heed(status: LinkStatus): void {
    this.#status = status;
    if (status.status !== 'connected') {
      this.#latest.clear();
      this.#asked.clear();
      for (const { owners, ids } of this.#tabs) {
        owners.clear();
        ids.clear();
      }
    }
    this.#broadcast(['onStatus', status]);
    if (status.status !== 'closed') return;
    this.#tabs.clear();
    this.#onEmpty();
  }

  #receive(message: HubMessage): void {
    if ('re' in message && typeof message.re === 'number') {
      const asked = this.#asked.get(message.re);
      this.#asked.delete(message.re);
      if (asked) this.#post(asked.tab, ['onMessage', { ...message, re: asked.id } as HubMessage]);
      return;
    }
    if (message.type === 'fresh') this.#latest.delete('stale');
    if (message.type === 'welcome' || message.type === 'stale' || message.type === 'self')
      this.#latest.set(message.type, message);
    this.#broadcast(['onMessage', message]);
  }

  #broadcast(word: ToTab): void {
    for (const tab of [...this.#tabs]) this.#post(tab, word);
  }

  async #token(why: { refresh: boolean }): Promise<string> {
    const { TokenQuestion } = await import('../link/token-question.ts');
    this.#question = new TokenQuestion(this.#nextId++, why, this.#tabs);
    return this.#question.answer;
  }
}
