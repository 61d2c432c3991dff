/**
 * How fast one connection may talk: counts its messages against the rate, and merges what heartbeats say over it, so that
 * the last word stands. Applies nothing and answers nothing; connection.ts and welcomed.ts do.
 */
import { TokenBucket, type Level, type Rate } from '../../lib/token-bucket.ts';
import type { SessionStatus } from '../../../shared/status.ts';

/** Errors about messages without an id, at most one in so long: whoever floods reads none of them anyway. */
const COMPLAIN_EVERY_MS = 1000;

/** A message counts once for each such piece of it: a watch of a thousand users is no heartbeat. */
const MESSAGE_CHARS = 1024;

/** Itself the bucket, not one beside it: there is one a connection, and each heartbeat would wait for memory twice. */
export class Pace extends TokenBucket {
  readonly #strictUntil: number;
  #quietUntil = 0;

  /** `strictUntil`: till then the burst, and the debt, is what one second allows. */
  constructor(rate: Rate, monoMs: number, strictUntil: number) {
    super(monoMs < strictUntil ? withoutBurst(rate) : rate, monoMs);
    this.#strictUntil = strictUntil;
  }

  /** Something of so many characters came, whatever it was. */
  count(rate: Rate, monoMs: number, chars: number): Level {
    const cost = chars <= MESSAGE_CHARS ? 1 : Math.ceil(chars / MESSAGE_CHARS);
    return this.take(monoMs < this.#strictUntil ? withoutBurst(rate) : rate, monoMs, cost);
  }

  /** Work for a message that has been counted. */
  charge(rate: Rate, monoMs: number, units: number): void {
    this.take(monoMs < this.#strictUntil ? withoutBurst(rate) : rate, monoMs, units);
  }

  /** Whether a message without an id that is refused gets its error. */
  mayComplain(monoMs: number): boolean {
    if (monoMs < this.#quietUntil) return false;
    this.#quietUntil = monoMs + COMPLAIN_EVERY_MS;
    return true;
  }
}

function withoutBurst({ perS, burst }: Rate): Rate {
  return { perS, burst: Math.min(perS, burst) };
}

/** What heartbeats over the rate said, and is not applied yet. */
export interface Words {
  readonly status: SessionStatus | undefined;
  readonly text: string | undefined;
  /** By when to apply it, monotonic milliseconds. */
  readonly dueAt: number;
}

/** The contract of the rate: the last word is applied within a second. The wheel may look 100 ms late. */
const APPLY_WITHIN_MS = 800;

/** What a heartbeat leaves out, an earlier one may have said. Null where nothing was said. */
export function mergeWords(
  before: Words | null,
  said: { readonly status?: SessionStatus | undefined; readonly text?: string | undefined },
  monoMs: number,
): Words | null {
  if (said.status === undefined && said.text === undefined) return before;
  return {
    status: said.status ?? before?.status,
    text: said.text ?? before?.text,
    dueAt: before?.dueAt ?? monoMs + APPLY_WITHIN_MS,
  };
}
