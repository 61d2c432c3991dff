/**
 * The one lease timer: looks at the core's wheel forty times a second, and hands on what ran out. A mass lapse is
 * taken in bounded bites, with the loop's other work between them. Ends nothing itself: the core decides.
 */
import type { Clock } from './lib/clock.ts';
import type { Change, Doubt } from './presence/outcomes.ts';
import type { Presence } from './presence/presence.ts';

const LOOK_EVERY_MS = 25;
/** Sessions looked at in one turn of the loop: about 2 ms. */
const BUDGET = 2000;

interface ExpiryOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  readonly onChange: (change: Change) => void;
  /** Very many sessions ran out at once: their end is held. */
  readonly onDoubt: (doubt: Doubt) => void;
  /** Nothing runs out meanwhile: the hub itself keeps the signs of life away. */
  readonly isSuspended: () => boolean;
  /** Called with each look, for what else waits for a time to come (connections), once nothing more is due. */
  readonly onLook: (monoMs: number) => void;
}

/** Starts looking; what it returns stops it. */
export function startExpiry({ presence, clock, onChange, onDoubt, isSuspended, onLook }: ExpiryOptions): () => void {
  let bite: NodeJS.Immediate | undefined;
  const expire = (): void => {
    bite = undefined;
    const { changes, lapsed, doubted, isMoreDue } = presence.expire(clock.now(), BUDGET);
    for (const doubt of doubted) onDoubt(doubt);
    for (const change of changes) onChange(change);
    for (const session of lapsed) session.owner.lapsed(session);
    if (isMoreDue) bite = setImmediate(expire);
  };
  const timer = setInterval(() => {
    if (bite === undefined && !isSuspended()) expire();
    if (bite === undefined) onLook(clock.now().monoMs);
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    clearImmediate(bite);
  };
}
