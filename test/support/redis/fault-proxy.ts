/** A TCP proxy with faults: refuses or cuts connections, swallows what the server sends, or alters it. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export type ProxyFault = 'none' | 'cut' | 'swallow';

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Whether the client has subscribed to something. */
  hasSubscribed: boolean;
  isDeaf: boolean;
}

export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Connections that were accepted so far. */
  accepted = 0;
  fault: ProxyFault = 'none';
  /** Replaces text in what the server sends. Must keep the length. */
  alter: (text: string) => string = (text) => text;

  private constructor(upstreamPort: number) {
    this.#server = createServer((client) => this.#accept(client, upstreamPort));
  }

  static async start(upstreamPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstreamPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  cut(): void {
    this.fault = 'cut';
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** Nothing arrives any more of what the server sends. */
  swallow(): void {
    this.fault = 'swallow';
  }

  /** Nothing arrives any more on the connections that have subscribed. New ones work. */
  deafen(): void {
    for (const pair of this.#pairs) pair.isDeaf = pair.hasSubscribed;
  }

  mend(): void {
    this.fault = 'none';
  }

  async close(): Promise<void> {
    this.cut();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #accept(client: Socket, port: number): void {
    if (this.fault === 'cut') {
      client.destroy();
      return;
    }
    this.accepted++;
    const pair: Pair = { client, upstream: connect(port, '127.0.0.1'), hasSubscribed: false, isDeaf: false };
    const { upstream } = pair;
    this.#pairs.add(pair);
    client.on('data', (chunk) => {
      pair.hasSubscribed ||= /ssubscribe/i.test(chunk.toString('latin1'));
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (this.fault === 'swallow' || pair.isDeaf) return;
      client.write(Buffer.from(this.alter(chunk.toString('latin1')), 'latin1'));
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
