/**
 * The one lease timer: ticks the core's timing wheel forty times a second and passes on the sessions that expired. A
 * mass lapse is processed in bites, so that other work runs between them. Ends no session: the core decides.
 *
 * A timer runs before the loop reads the sockets, so a heartbeat of a due session may still wait in the kernel. The
 * moment of the tick is therefore judged only after the loop has been through its sockets twice: once to accept a
 * connection, and once to read it. Time that passes meanwhile counts for the next tick.
 */
import type { Clock, Moment } from './lib/time/clock.ts';
import type { ChangeListener, Doubt } from './presence/change.ts';
import type { Presence } from './presence/presence.ts';

const LOOK_EVERY_MS = 25;
/** Sessions checked per loop turn: about 2 ms. */
const BUDGET = 2000;

interface TickerOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  /** Notes that the loop has come around. Returns the moment up to which leases may be judged (see stall-clock.ts). */
  readonly tick: () => Moment;
  /** Receive each change, in this order. */
  readonly onChange: readonly ChangeListener[];
  /** Receives a mass lapse, whose sessions are held. */
  readonly onDoubt: (doubt: Doubt) => void;
  /** Whether leases are suspended, because the hub itself keeps heartbeats out. */
  readonly isSuspended: () => boolean;
  /** Runs on each tick once nothing more is due, for connections and polls that wait for a time. */
  readonly onTick: (now: Moment) => void;
}

/** Starts ticking. Returns a function that stops it. */
export function startTicker(options: TickerOptions): () => void {
  const { presence, clock, tick, onChange, onDoubt, isSuspended, onTick } = options;
  let next: NodeJS.Immediate | undefined;
  /** @returns whether more sessions are due. */
  const expire = (now: Moment): boolean => {
    const { changes, lapsed, doubted, isMoreDue } = presence.expire(now, BUDGET);
    for (const doubt of doubted) onDoubt(doubt);
    for (const change of changes) for (const listener of onChange) listener(change);
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
