/** A webhook rule in a file of its own, and receivers that are down: one refuses connections, one never answers. */
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { ask } from './hub-http.ts';
import { until } from './pacing.ts';

/** How the receiver of the rule is down. `none`: there is no rule. */
export const receiverStates = ['none', 'refuses', 'hangs'] as const;
export type ReceiverState = (typeof receiverStates)[number];

const RULE = 'bench';
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const RELOADED_WITHIN_MS = 60_000;
/** A busy machine may keep the hub from its core for long. */
export const ANSWERED_WITHIN_MS = 60_000;

interface RuleState {
  readonly url: string;
  readonly queued: number;
  readonly lastFailure: string | null;
}

export class DeadReceiver {
  readonly #file: string;
  readonly #urls: Readonly<Record<Exclude<ReceiverState, 'none'>, string>>;
  readonly #close: () => void;

  private constructor(file: string, hangingPort: number, refusingPort: number, close: () => void) {
    this.#file = file;
    this.#urls = { refuses: `http://127.0.0.1:${refusingPort}/`, hangs: `http://127.0.0.1:${hangingPort}/` };
    this.#close = close;
    this.#write([]);
  }

  /** `file`: the path that `HUB_WEBHOOKS` names. */
  static async open(file: string): Promise<DeadReceiver> {
    const sockets = new Set<Socket>();
    const hanging = createServer((socket) => {
      sockets.add(socket);
      // What it is sent is read and never answered.
      socket.resume();
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    const refusing = createServer();
    const [hangingPort, refusingPort] = [await portOf(hanging), await portOf(refusing)];
    await new Promise((resolve) => refusing.close(resolve));
    return new DeadReceiver(file, hangingPort, refusingPort, () => {
      hanging.close();
      for (const socket of sockets) socket.destroy();
    });
  }

  /** Replaces the rule, and resolves when the hub applies it and has no event of the rule before. */
  async use(state: ReceiverState, port: number): Promise<void> {
    // Without a rule in between, the rule would keep its queue by its name.
    await this.#reload([], port);
    if (state !== 'none') await this.#reload([this.#urls[state]], port);
  }

  async stateOf(port: number): Promise<RuleState | undefined> {
    const { status, body } = await ask(port, 'GET', '/v1/webhooks', undefined, ANSWERED_WITHIN_MS);
    if (status !== 200) throw new Error(`GET /v1/webhooks: ${status} ${body}`);
    return (JSON.parse(body) as { readonly rules: readonly RuleState[] }).rules[0];
  }

  close(): void {
    this.#close();
  }

  async #reload(urls: readonly string[], port: number): Promise<void> {
    this.#write(urls);
    const isApplied = async (): Promise<boolean> => (await this.stateOf(port))?.url === urls[0];
    if (!(await until(isApplied, RELOADED_WITHIN_MS, 200))) throw new Error('the hub did not reload HUB_WEBHOOKS');
  }

  #write(urls: readonly string[]): void {
    const rules = urls.map((url) => ({ name: RULE, url, secret: SECRET, users: ['u*'] }));
    writeFileSync(this.#file, JSON.stringify(rules));
  }
}

function portOf(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('the server has no port'));
      else resolve(address.port);
    });
  });
}
