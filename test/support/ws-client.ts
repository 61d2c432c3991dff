/** A WebSocket client for tests: sends objects, waits for messages by type, keeps every one for a look at the whole. */
import WebSocket from 'ws';
import type { HubMessage } from '../../shared/messages/hub-messages.ts';
import { hubMessage } from '../../shared/messages/hub-messages.ts';

type Of<T extends HubMessage['type']> = Extract<HubMessage, { type: T }>;

export class WsClient {
  readonly #socket: WebSocket;
  /** Every message so far, each checked against the contract's schemas. */
  readonly all: HubMessage[] = [];
  /** The same before the schemas, which drop fields that they do not know. */
  readonly raw: unknown[] = [];
  #read = 0;
  #wake: (() => void) | undefined;
  #listener: ((message: HubMessage) => void) | undefined;
  /** The close code, once it is closed. */
  readonly closed: Promise<number>;
  /** What the close frame said. */
  closeReason = '';

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const json: unknown = JSON.parse(data.toString('utf8'));
      this.raw.push(json);
      const message = hubMessage.parse(json);
      this.all.push(message);
      this.#listener?.(message);
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.closeReason = reason.toString('utf8');
        resolve(code);
        this.#wake?.();
      });
    });
    socket.on('error', () => undefined);
  }

  /** Connects; `autoPong: false` makes a client that answers no ping. */
  static async open(url: string, options: WebSocket.ClientOptions = {}): Promise<WsClient> {
    const socket = new WebSocket(url, options);
    const client = new WsClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    });
    return client;
  }

  /** Connects and says hello; resolves when welcomed. */
  static async hello(url: string, hello: object, options: WebSocket.ClientOptions = {}): Promise<WsClient> {
    const client = await WsClient.open(url, options);
    client.send({ type: 'hello', ...hello });
    await client.next('welcome');
    return client;
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  sendBinary(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** Gets every message from now on, in the moment it comes. */
  onMessage(listener: (message: HubMessage) => void): void {
    this.#listener = listener;
  }

  ping(): void {
    this.#socket.ping();
  }

  pong(): void {
    this.#socket.pong();
  }

  onPing(listener: () => void): void {
    this.#socket.on('ping', listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The next message of this type; those of other types before it are passed over (they stay in `all`). */
  async next<T extends HubMessage['type']>(type: T, where: (message: Of<T>) => boolean = () => true): Promise<Of<T>> {
    for (;;) {
      while (this.#read < this.all.length) {
        const message = this.all[this.#read++];
        if (message?.type === type && where(message as Of<T>)) return message as Of<T>;
      }
      if (this.#socket.readyState === WebSocket.CLOSED) throw new Error(`closed while waiting for ${type}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The next presence message that names the user, and its entry. */
  async entryOf(user: string): Promise<Of<'presence'>['entries'][number]> {
    const message = await this.next('presence', ({ entries }) => entries.some((entry) => entry.user === user));
    return message.entries.find((entry) => entry.user === user) as Of<'presence'>['entries'][number];
  }

  /** Resolves with the n-th message from now on, in the moment it comes. */
  waitForMessages(count: number): Promise<void> {
    const last = this.all.length + count;
    return new Promise((resolve) => {
      const before = this.#listener;
      this.#listener = (message) => {
        before?.(message);
        if (this.all.length >= last) resolve();
      };
    });
  }

  /** A message that is answered: everything the hub sent before the answer has arrived. */
  async roundTrip(): Promise<void> {
    const id = `trip-${this.all.length}-${this.#read}`;
    this.send({ type: 'heartbeat', id });
    await this.next('ok', ({ re }) => re === id);
  }

  /** An unclean end: the socket is gone without a close frame. */
  cut(): void {
    this.#socket.terminate();
  }

  close(code?: number): void {
    this.#socket.close(code);
  }
}
