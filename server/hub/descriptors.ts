/**
 * Keeps the hub below the limit on file descriptors. At that limit nothing can be accepted, and uWebSockets.js retries
 * without a pause and without an error. So the hub admits no more connections than there are descriptors, and accepts
 * and closes further ones. Checks the limit regularly, because it can change while the hub runs. Does nothing on
 * systems that do not report their limit (no /proc).
 */
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { DESCRIPTORS_FOR_GUESTS, type Admission } from '../admission.ts';
import type { Logger } from '../lib/log/log.ts';

/** Descriptors kept for storage, polls and fetches that open after the start, and for guests that get a refusal. */
const KEPT_FREE = 48 + DESCRIPTORS_FOR_GUESTS;
/** Descriptors that are given up if none are left, so that waiting connections can be accepted and closed. */
const RESERVE = 8;
const LOOK_EVERY_MS = 1_000;
/** The warning is repeated only after connections have fallen to this part of the limit. */
const RECOVERED = 0.9;

interface Options {
  readonly admission: Admission;
  readonly maxConnections: number;
  readonly log: Pick<Logger, 'warn'>;
}

export class Descriptors {
  readonly #options: Options;
  /** Descriptors that are not connections. */
  readonly #others: number;
  #limit: number;
  /** Connections that fit when descriptors ran out; Infinity if they never did. */
  #shortage = Infinity;
  #reserve: number[];
  #hasWarned = false;
  readonly #timer: NodeJS.Timeout;

  /**
   * Starts watching. To be called when everything except connections is open. Returns undefined if the system does not
   * report its limit.
   */
  static watch(options: Options): Descriptors | undefined {
    const limit = readLimit();
    return typeof limit === 'number' ? new Descriptors(options, limit) : undefined;
  }

  private constructor(options: Options, limit: number) {
    this.#options = options;
    this.#limit = limit;
    this.#others = readdirSync('/proc/self/fd').length + RESERVE + KEPT_FREE;
    this.#reserve = openReserve();
    options.admission.limitTo(this.#room);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Warnings for the operator at the start. */
  get warnings(): readonly string[] {
    const { maxConnections } = this.#options;
    if (this.#limit >= maxConnections) return [];
    return [
      `the limit on file descriptors (ulimit -n) is ${this.#limit}, so no more than ${this.#room} connections are accepted, not HUB_MAX_CONNECTIONS=${maxConnections}: raise the limit, or lower the setting`,
    ];
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#giveUpReserve();
  }

  /** Connections for which there are descriptors. */
  get #room(): number {
    return Math.max(1, Math.min(this.#limit - this.#others, this.#shortage));
  }

  #look(): void {
    const { admission } = this.#options;
    const isShort = readLimit() === 'none left';
    if (isShort) this.#giveUpReserve();
    const limit = readLimit();
    if (typeof limit === 'number' && limit !== this.#limit) {
      this.#limit = limit;
      this.#shortage = Infinity;
    }
    if (isShort) this.#shortage = Math.min(this.#shortage, admission.count - RESERVE - DESCRIPTORS_FOR_GUESTS);
    else if (this.#reserve.length === 0 && admission.count <= this.#room) this.#reserve = openReserve();
    admission.limitTo(this.#room);
    this.#warn();
  }

  #warn(): void {
    const { admission, log } = this.#options;
    if (admission.count <= RECOVERED * this.#room) this.#hasWarned = false;
    if (this.#hasWarned || !admission.lacksRoom) return;
    this.#hasWarned = true;
    log.warn(
      { limit: this.#limit, connections: admission.count },
      'the limit on file descriptors (ulimit -n) is reached: further connections are closed; raise it, or set HUB_MAX_CONNECTIONS below it',
    );
  }

  #giveUpReserve(): void {
    for (const descriptor of this.#reserve.splice(0)) closeSync(descriptor);
  }
}

/** The soft limit, which Node.js raises to the hard one when it starts; undefined if it is unknown. */
export function readLimit(): number | 'none left' | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch (error) {
    return isNoneLeft(error) ? 'none left' : undefined;
  }
}

/** Opens the reserve, or as much of it as the system allows. */
function openReserve(): number[] {
  const reserve: number[] = [];
  try {
    while (reserve.length < RESERVE) reserve.push(openSync('/dev/null', 'r'));
  } catch (error) {
    if (!isNoneLeft(error)) throw error;
  }
  return reserve;
}

function isNoneLeft(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}
