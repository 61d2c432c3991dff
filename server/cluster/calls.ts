/**
 * Requests to other nodes and their answers, over direct messages between nodes. Knows neither the content of requests nor which
 * nodes are alive. A request or an answer may be lost, so each call has a timeout.
 */
import { z } from 'zod';
import { ALL_NODES } from './engine.ts';

export interface CallsOptions {
  /** Sends a text to an incarnation, or to all. */
  readonly send: (to: string, text: string) => Promise<void>;
  /** This node's incarnation now. */
  readonly inc: () => string;
  /** Schedules `run`. Returns a function that cancels it. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Logs that a handler failed. */
  readonly warn: (text: string) => void;
}

/** Answers a request. The payload comes from the network and must be validated. If it throws, no answer counts. */
export type Handler = (payload: unknown, from: string) => unknown;

const id = z.string().max(64);
const envelopeForm = z.discriminatedUnion('t', [
  z.object({ t: z.literal('ask'), id, from: id, kind: id, payload: z.unknown() }),
  z.object({ t: z.literal('answer'), id, from: id, hasFailed: z.boolean(), payload: z.unknown() }),
]);
type Envelope = z.infer<typeof envelopeForm>;

interface Open {
  /** Incarnations that have not answered. */
  readonly missing: Set<string>;
  readonly answers: Map<string, unknown>;
  readonly end: () => void;
}

export class Calls {
  readonly #options: CallsOptions;
  readonly #handlers = new Map<string, Handler>();
  readonly #open = new Map<string, Open>();
  #count = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Sets the handler of a kind of request. Its answer must be JSON. */
  on(kind: string, handler: Handler): void {
    this.#handlers.set(kind, handler);
  }

  /**
   * Asks these incarnations, and resolves once all have answered or failed, or after `timeoutMs`. Returns the answers
   * that arrived, by incarnation. The answers come from the network and must be validated. Never rejects.
   *
   * If more than one is asked, the request goes to all nodes. Others act on it too, but their answers do not count.
   */
  async call(
    incs: readonly string[],
    kind: string,
    payload: unknown,
    timeoutMs: number,
  ): Promise<ReadonlyMap<string, unknown>> {
    const answers = new Map<string, unknown>();
    const [first] = incs;
    if (first === undefined) return answers;
    const from = this.#options.inc();
    const callId = `${from}.${(++this.#count).toString(36)}`;
    let cancel = (): void => undefined;
    await new Promise<void>((resolve) => {
      cancel = this.#options.after(timeoutMs, resolve);
      this.#open.set(callId, { missing: new Set(incs), answers, end: resolve });
      // Without sending there is no answer, so there is no reason to wait.
      this.#send(incs.length === 1 ? first : ALL_NODES, { t: 'ask', id: callId, from, kind, payload }).catch(resolve);
    });
    cancel();
    this.#open.delete(callId);
    return answers;
  }

  /** Handles a direct message. */
  receive(text: string): void {
    const envelope = readEnvelope(text);
    if (envelope?.t === 'ask') void this.#answer(envelope);
    else if (envelope?.t === 'answer') this.#note(envelope);
  }

  async #answer({ id: callId, from, kind, payload }: Extract<Envelope, { t: 'ask' }>): Promise<void> {
    const answer = { t: 'answer' as const, id: callId, from: this.#options.inc() };
    let sent: Envelope;
    try {
      const handler = this.#handlers.get(kind);
      if (handler === undefined) throw new Error('this release does not know it');
      sent = { ...answer, hasFailed: false, payload: await handler(payload, from) };
    } catch (error) {
      this.#options.warn(`a question of ${from} (${kind}) can't be answered: ${(error as Error).message}`);
      sent = { ...answer, hasFailed: true, payload: null };
    }
    // If the answer can't be sent, the call of the other node times out.
    await this.#send(from, sent).catch(() => undefined);
  }

  #note({ id: callId, from, hasFailed, payload }: Extract<Envelope, { t: 'answer' }>): void {
    const call = this.#open.get(callId);
    if (call?.missing.delete(from) !== true) return;
    if (!hasFailed) call.answers.set(from, payload);
    if (call.missing.size === 0) call.end();
  }

  async #send(to: string, envelope: Envelope): Promise<void> {
    await this.#options.send(to, JSON.stringify(envelope));
  }
}

function readEnvelope(text: string): Envelope | undefined {
  try {
    return envelopeForm.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
