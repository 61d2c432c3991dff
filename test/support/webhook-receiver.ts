/** A receiver of webhooks on a real socket. Verifies every signature with the library of Standard Webhooks. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { Entry } from '../../shared/messages/entry.ts';

export interface ReceivedEvent {
  readonly id: string;
  readonly rule: string;
  readonly at: number;
  readonly from: string;
  readonly cause: string;
  readonly entry: Entry;
}

export interface ReceivedMessage {
  readonly id: string;
  readonly body: string;
  readonly status: number;
}

const key = Buffer.alloc(32, 3).toString('base64');
export const WEBHOOK_SECRET = `whsec_${key}`;

export class WebhookReceiver {
  /** Every message with the status that answered it. */
  readonly messages: ReceivedMessage[] = [];
  /** The events of messages that were answered with 200, in the order in which they came. */
  readonly events: ReceivedEvent[] = [];
  /** The status of the next answers; 0: the connection is cut. */
  answer: () => number = () => 200;
  readonly #server: Server;
  readonly #verifier = new Webhook(key);
  #changed: (() => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        this.#verify(request.headers as Record<string, string>, body);
        const status = this.answer();
        this.messages.push({ id: String(request.headers['webhook-id']), body, status });
        if (status === 200) this.events.push(...(JSON.parse(body) as { events: ReceivedEvent[] }).events);
        if (status === 0) request.socket.destroy();
        else response.writeHead(status).end();
        for (const check of this.#changed.splice(0)) check();
      });
    });
  }

  static async open(port = 0): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    await once(receiver.#server.listen(port, '127.0.0.1'), 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  eventsOf(user: string): ReceivedEvent[] {
    return this.events.filter(({ entry }) => entry.user === user);
  }

  /** Resolves when the condition holds; checks it after each message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  /** Whatever the hour: a hub in a test may have a clock of its own. */
  #verify(headers: Record<string, string>, body: string): void {
    const sentAt = new Date(Number(headers['webhook-timestamp']) * 1000);
    const expected = this.#verifier.sign(headers['webhook-id'] ?? '', sentAt, body);
    if (headers['webhook-signature'] !== expected) throw new Error('the signature of a webhook is wrong');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), 'close');
  }
}
