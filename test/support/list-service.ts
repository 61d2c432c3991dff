/** An operator's service of friend lists on a real socket, whose answers a test decides. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Answer = (response: ServerResponse, user: string) => void;

export class ListServiceServer {
  readonly lists = new Map<string, readonly string[]>();
  /** The users asked for, in order. */
  readonly asked: string[] = [];
  /** The `authorization` and the path of the last request. */
  last: { readonly authorization: string | undefined; readonly path: string } | undefined;
  /** How many requests are being answered, and the most there were at once. */
  running = 0;
  mostRunning = 0;
  /** Answers in place of the lists. */
  answer: Answer | undefined;
  #server = createServer((request, response) => {
    this.#serve(request, response);
  });
  #port = 0;
  #received: (() => void)[] = [];

  static async open(): Promise<ListServiceServer> {
    const service = new ListServiceServer();
    await service.start();
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/friends`;
  }

  /** Resolves with the next request. */
  nextRequest(): Promise<void> {
    return new Promise((resolve) => this.#received.push(resolve));
  }

  async start(): Promise<void> {
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses connections until the next `start`. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #serve({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
    const user = decodeURIComponent(url.slice(url.lastIndexOf('/') + 1));
    this.asked.push(user);
    this.last = { authorization: headers.authorization, path: url };
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    response.on('close', () => this.running--);
    if (this.answer === undefined) sendList(response, this.lists.get(user));
    else this.answer(response, user);
    for (const resolve of this.#received.splice(0)) resolve();
  }
}

export function sendList(response: ServerResponse, friends: readonly string[] | undefined): void {
  if (friends === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ friends }));
}
