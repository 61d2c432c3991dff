/**
 * Keeps the hub below the limit on file descriptors, since at the limit nothing can be accepted: uWebSockets.js then tries
 * again and again, without a pause and without a word. So no more connections are let in than there are descriptors for, and
 * further ones are accepted and closed. Looks at the limit again and again, because it can be changed while the hub runs.
 * Part of hub.ts. Does nothing where the system does not tell its limit (no /proc).
 */
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { DESCRIPTORS_FOR_GUESTS, type Admission } from '../admission.ts';
import type { Logger } from '../lib/log.ts';

/** For storage, polls and fetches, beyond what is open at the start; and for those who are told that there is no room. */
const KEPT_FREE = 48 + DESCRIPTORS_FOR_GUESTS;
/** Given up if there are none left all the same, so that what waits can be accepted and closed. */
const RESERVE = 8;
const LOOK_EVERY_MS = 1_000;
/** The warning comes again only after no more than this part of the connections was there. */
const RECOVERED = 0.9;

interface Options {
  readonly admission: Admission;
  readonly maxConnections: number;
  readonly log: Pick<Logger, 'warn'>;
}

export class Descriptors {
  readonly #options: Options;
  /** Open beside connections. */
  readonly #others: number;
  #limit: number;
  /** Connections with which there were no descriptors left; Infinity if that was never so. */
  #shortage = Infinity;
  #reserve: number[];
  #isTold = false;
  readonly #timer: NodeJS.Timeout;

  /** To be called when everything but connections is open. Undefined where the system does not tell its limit. */
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

  /** What the operator should know at the start. */
  get warnings(): readonly string[] {
    const { maxConnections } = this.#options;
    if (this.#limit >= maxConnections) return [];
    return [
      `the limit on file descriptors (ulimit -n) is ${this.#limit}, so no more than ${this.#room} connections are let in, not HUB_MAX_CONNECTIONS=${maxConnections}: raise the limit, or lower the setting`,
    ];
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#giveUpReserve();
  }

  /** How many connections there are descriptors for. */
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
    this.#tell();
  }

  #tell(): void {
    const { admission, log } = this.#options;
    if (admission.count <= RECOVERED * this.#room) this.#isTold = false;
    if (this.#isTold || !admission.lacksRoom) return;
    this.#isTold = true;
    log.warn(
      { limit: this.#limit, connections: admission.count },
      'the limit on file descriptors (ulimit -n) is reached: further connections are closed; raise it, or set HUB_MAX_CONNECTIONS below it',
    );
  }

  #giveUpReserve(): void {
    for (const descriptor of this.#reserve.splice(0)) closeSync(descriptor);
  }
}

/** The soft limit, which Node.js raises to the hard one when it starts; undefined where it can't be told. */
function readLimit(): number | 'none left' | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch (error) {
    return isNoneLeft(error) ? 'none left' : undefined;
  }
}

/** As many as there are, if there are fewer. */
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
