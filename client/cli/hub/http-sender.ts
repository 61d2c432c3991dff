/**
 * One user's heartbeats over HTTP: each request starts only after the answer to the previous one. The goodbye is a
 * heartbeat with the status offline.
 */
import { askHub, retryMs, type HubAnswer } from './hub-http.ts';
import type { Heartbeats, Sender, SenderEvents } from './senders.ts';

const BYE_WITHIN_MS = 1_000;

interface HttpSenderOptions extends Heartbeats, SenderEvents {
  readonly everyMs: number;
  readonly ttlMs?: number;
}

export class HttpSender implements Sender {
  readonly #options: HttpSenderOptions;
  readonly #ended = new AbortController();
  #nextHeartbeat: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #wasEverAnswered = false;

  constructor(options: HttpSenderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#send();
  }

  async leave(): Promise<void> {
    // Waits for a heartbeat under way, which would begin a new session after the goodbye.
    await this.end();
    if (this.#wasEverAnswered) await this.#ask({ status: 'offline' }, AbortSignal.timeout(BYE_WITHIN_MS));
  }

  async end(): Promise<void> {
    clearTimeout(this.#nextHeartbeat);
    this.#ended.abort();
    await this.#running;
  }

  async #send(): Promise<void> {
    const { status, text, ttlMs, everyMs } = this.#options;
    const answer = await this.#ask({ status, text, ttlMs }, this.#ended.signal);
    if (this.#ended.signal.aborted) return;
    const isHopeless = answer.kind === 'refused' && answer.renewed === undefined;
    if (isHopeless || (answer.kind === 'unreachable' && !this.#wasEverAnswered)) {
      return this.#options.onFailed(answer.problem);
    }
    this.#wasEverAnswered = true;
    if (answer.kind === 'ok') {
      this.#failures = 0;
      this.#sendIn(everyMs);
      // Called last, because the listener may end this object at once.
      return this.#options.onHeartbeat();
    }
    this.#options.onLost(answer.problem);
    if (answer.kind === 'refused') {
      // If this object has ended meanwhile, nobody listens.
      if ((await answer.renewed?.()) === true) this.#sendIn(0);
      else this.#options.onFailed(answer.problem);
      return;
    }
    const afterMs = answer.kind === 'later' ? answer.afterMs : undefined;
    this.#sendIn(afterMs ?? Math.min(everyMs, retryMs(this.#failures++)));
  }

  #sendIn(ms: number): void {
    if (!this.#ended.signal.aborted) this.#nextHeartbeat = setTimeout(() => this.start(), ms);
  }

  async #ask(says: Readonly<Record<string, string | number | undefined>>, signal: AbortSignal): Promise<HubAnswer> {
    const { access, user, device, onSent, onGot } = this.#options;
    const body = { user, device, ...says };
    onSent(JSON.stringify(body));
    const answer = await askHub(access, { method: 'POST', path: '/v1/heartbeat', body, signal });
    if (answer.kind === 'ok') onGot(JSON.stringify(answer.body));
    return answer;
  }
}
