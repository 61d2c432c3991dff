/** A WebSocket client of the checks: keeps every message, as it came, and waits for the one that a check needs. */
import { WebSocket, type RawData } from 'ws';
import { parseFields } from '../../../shared/messages/json.ts';
import { Violation, shown } from './violation.ts';

/** How long a hub may take for an answer, or to notify of a change. */
export const ANSWER_WITHIN_MS = 5_000;

export type Message = Readonly<Record<string, unknown>>;

/** An entry as the hub sent it. Only the checks judge its fields. */
export interface RawEntry {
  readonly user?: unknown;
  readonly status?: unknown;
  readonly code?: unknown;
  readonly since?: unknown;
  readonly lastSeen?: unknown;
  readonly devices?: unknown;
  readonly text?: unknown;
  readonly v?: unknown;
}

export class WsPeer {
  readonly messages: Message[] = [];
  readonly #socket: WebSocket;
  readonly #listeners = new Set<() => void>();
  #closeCode: number | undefined;
  /** Messages before this one were already returned by `next`. */
  #read = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: RawData) => {
      const text = (data as Buffer).toString('utf8');
      this.messages.push(parseFields(text) ?? { type: `no JSON object: ${text.slice(0, 100)}` });
      this.#changed();
    });
    socket.on('close', (code) => {
      this.#closeCode = code;
      this.#changed();
    });
    socket.on('error', () => undefined);
  }

  static async open(url: string): Promise<WsPeer> {
    const socket = new WebSocket(url, { handshakeTimeout: ANSWER_WITHIN_MS, perMessageDeflate: false });
    const peer = new WsPeer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', (error) => reject(new Violation(`no WebSocket opens at ${url} (${error.message})`)));
    });
    return peer;
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  sendBinary(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** Returns the next message of this type that matches. Others before it are passed over, and stay in `messages`. */
  async next(type: string, matches: (message: Message) => boolean = () => true): Promise<Message> {
    const find = (): Message | undefined => {
      for (let index = this.#read; index < this.messages.length; index++) {
        const message = this.messages[index];
        if (message?.['type'] !== type || !matches(message)) continue;
        this.#read = index + 1;
        return message;
      }
      return undefined;
    };
    const found = await this.#until(find, ANSWER_WITHIN_MS);
    if (found !== undefined) return found;
    const end = this.#closeCode === undefined ? '' : `, and the connection closed with ${this.#closeCode}`;
    throw new Violation(
      `no message "${type}" that fits came; the last ones were ${shown(this.messages.slice(-3))}${end}`,
    );
  }

  /** Returns the next entry of this user that is reported as a change and matches. */
  async nextEntry(user: string, withinMs: number, matches: (entry: RawEntry) => boolean): Promise<RawEntry> {
    const entries = (): readonly RawEntry[] =>
      this.messages.filter(({ type }) => type === 'presence').flatMap((message) => entriesIn(message));
    const from = this.#readEntries.get(user) ?? 0;
    const find = (): RawEntry | undefined => {
      const all = entries();
      for (let index = from; index < all.length; index++) {
        const entry = all[index];
        if (entry?.user !== user || !matches(entry)) continue;
        this.#readEntries.set(user, index + 1);
        return entry;
      }
      return undefined;
    };
    const found = await this.#until(find, withinMs);
    if (found !== undefined) return found;
    const reported = entries().filter((entry) => entry.user === user);
    throw new Violation(`no change of ${user} that fits was reported; reported were ${shown(reported.slice(-3))}`);
  }

  readonly #readEntries = new Map<string, number>();

  /** Every entry of this user in changes so far. */
  reported(user: string): readonly RawEntry[] {
    return this.messages
      .filter(({ type }) => type === 'presence')
      .flatMap((message) => entriesIn(message))
      .filter((entry) => entry.user === user);
  }

  /** Returns the close code. */
  async closed(withinMs = ANSWER_WITHIN_MS): Promise<number> {
    const code = await this.#until(() => this.#closeCode, withinMs);
    if (code === undefined) throw new Violation('the hub did not close the connection');
    return code;
  }

  get isOpen(): boolean {
    return this.#closeCode === undefined;
  }

  /** Cuts the connection without a goodbye. */
  cut(): void {
    this.#socket.terminate();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Resolves with what `find` returns once that is not undefined; undefined after the time or the end. */
  #until<T>(find: () => T | undefined, withinMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const look = (isOver: boolean): void => {
        const found = find();
        if (found === undefined && !isOver && this.#closeCode === undefined) return;
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve(found);
      };
      const listener = (): void => look(false);
      const timer = setTimeout(() => look(true), withinMs);
      this.#listeners.add(listener);
      look(false);
    });
  }
}

/** Returns the objects in the list `entries` of a message or an answer. */
export function entriesIn({ entries }: Message): readonly RawEntry[] {
  if (!Array.isArray(entries)) return [];
  return entries.filter((entry: unknown): entry is RawEntry => typeof entry === 'object' && entry !== null);
}
