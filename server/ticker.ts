/**
 * The one lease timer: looks at the core's wheel forty times a second, and hands on what ran out. A mass lapse is
 * taken in bounded bites, with the loop's other work between them. Ends nothing itself: the core decides.
 *
 * A timer runs before the loop reads the sockets, so what a tick finds due may have a sign of life waiting in the kernel.
 * The moment of the tick is therefore judged only after the loop has been through its sockets twice: once to accept a
 * connection, and once to read it. Time that passes meanwhile counts for the next tick.
 */
import type { Clock, Moment } from './lib/clock.ts';
import type { Change, Doubt } from './presence/change.ts';
import type { Presence } from './presence/presence.ts';

const LOOK_EVERY_MS = 25;
/** Sessions looked at in one turn of the loop: about 2 ms. */
const BUDGET = 2000;

interface TickerOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  /** The loop has come round. Answers with the moment up to which leases may be judged: see stall-clock.ts. */
  readonly tick: () => Moment;
  readonly onChange: (change: Change) => void;
  /** Very many sessions ran out at once: their end is held. */
  readonly onDoubt: (doubt: Doubt) => void;
  /** Nothing runs out meanwhile: the hub itself keeps the signs of life away. */
  readonly isSuspended: () => boolean;
  /** Called with each look, for what else waits for a time to come (connections, polls), once nothing more is due. */
  readonly onTick: (now: Moment) => void;
}

/** Starts looking; what it returns stops it. */
export function startTicker(options: TickerOptions): () => void {
  const { presence, clock, tick, onChange, onDoubt, isSuspended, onTick } = options;
  let next: NodeJS.Immediate | undefined;
  /** @returns whether more is due. */
  const expire = (now: Moment): boolean => {
    const { changes, lapsed, doubted, isMoreDue } = presence.expire(now, BUDGET);
    for (const doubt of doubted) onDoubt(doubt);
    for (const change of changes) onChange(change);
    for (const session of lapsed) session.owner.lapsed(session);
    return isMoreDue;
  };
  const judge = (monoMs: number): void => {
    next = undefined;
    const now = { wallMs: clock.now().wallMs, monoMs };
    if (!isSuspended() && expire(now)) next = setImmediate(judge, monoMs);
    else onTick(now);
  };
  const readOnceMore = (monoMs: number): void => {
    next = setImmediate(judge, monoMs);
  };
  tick();
  const timer = setInterval(() => {
    const { monoMs } = tick();
    next ??= setImmediate(readOnceMore, monoMs);
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    clearImmediate(next);
  };
}
