/**
 * One user's heartbeats over HTTP: each request starts only after the answer to the previous one. The goodbye is a
 * heartbeat with the status offline.
 */
import type { SessionStatus } from '../../../shared/status.ts';
import { fullJitterMs } from './backoff.ts';
import { askHub, type HttpAccess, type HubAnswer } from './hub-http.ts';
import { FreshTokenWait } from './token-renewal.ts';

const BYE_WITHIN_MS = 1_000;

interface HttpBeatsOptions {
  readonly access: HttpAccess;
  readonly user: string;
  readonly device?: string;
  readonly status?: SessionStatus;
  readonly text?: string;
  readonly everyMs: number;
  readonly ttlMs?: number;
  readonly onSent: (json: string) => void;
  readonly onGot: (json: string) => void;
  readonly onBeat: () => void;
  readonly onLost: (reason: string) => void;
  readonly onFailed: (problem: string) => void;
}

export class HttpBeats {
  readonly #options: HttpBeatsOptions;
  readonly #freshTokenWait: FreshTokenWait;
  readonly #ended = new AbortController();
  #nextBeat: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #wasEverAnswered = false;

  constructor(options: HttpBeatsOptions) {
    this.#options = options;
    this.#freshTokenWait = new FreshTokenWait(options.access.token);
  }

  start(): void {
    this.#running = this.#beat();
  }

  async leave(): Promise<void> {
    // Waits for a beat under way, which would begin a new session after the goodbye.
    await this.end();
    if (this.#wasEverAnswered) await this.#ask({ status: 'offline' }, AbortSignal.timeout(BYE_WITHIN_MS));
  }

  async end(): Promise<void> {
    clearTimeout(this.#nextBeat);
    this.#ended.abort();
    await this.#running;
  }

  async #beat(): Promise<void> {
    const { status, text, ttlMs, everyMs } = this.#options;
    const answer = await this.#ask({ status, text, ttlMs }, this.#ended.signal);
    if (this.#ended.signal.aborted) return;
    const mayGoOn = answer.kind !== 'refused' || (answer.status === 401 && this.#freshTokenWait.refused());
    if (!mayGoOn) return this.#options.onFailed(answer.problem);
    if (answer.kind === 'unreachable' && !this.#wasEverAnswered) return this.#options.onFailed(answer.problem);
    this.#wasEverAnswered = true;
    if (answer.kind === 'ok') this.#freshTokenWait.taken();
    this.#failures = answer.kind === 'ok' ? 0 : this.#failures + 1;
    const retryMs = answer.kind === 'later' ? answer.afterMs : undefined;
    const waitMs = this.#failures === 0 ? everyMs : (retryMs ?? Math.min(everyMs, fullJitterMs(this.#failures)));
    this.#nextBeat = setTimeout(() => this.start(), waitMs);
    // Called last, because the listener may end this object at once.
    if (answer.kind === 'ok') this.#options.onBeat();
    else this.#options.onLost(answer.problem);
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
