/**
 * The one lease timer: ticks the core's timing wheel forty times a second and passes on the sessions that expired. A
 * mass lapse is processed in small steps, so that other work runs between them. Ends no session: the core decides.
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
  /**
   * Notes that a new turn of the event loop has begun. Returns the moment up to which leases may be judged (see
   * stall-clock.ts).
   */
  readonly tick: () => Moment;
  /** Receive each change, in this order. */
  readonly onChange: readonly ChangeListener[];
  /** Receives a mass lapse, whose sessions are held. */
  readonly onDoubt: (doubt: Doubt) => void;
  /** Runs on each tick once nothing more is due, for connections and polls that wait for a time. */
  readonly onTick: (now: Moment, before: Moment) => void;
}

export class Ticker {
  readonly #options: TickerOptions;
  #judged: Moment;
  #isSuspended = false;
  #timer: NodeJS.Timeout | undefined;
  #next: NodeJS.Immediate | undefined;

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#judged = options.clock.now();
  }

  /** The moment of the last complete tick. Up to then, sockets have been read and leases judged. */
  get judged(): Moment {
    return this.#judged;
  }

  start(): void {
    const { tick } = this.#options;
    tick();
    this.#timer = setInterval(() => {
      const { monoMs } = tick();
      this.#next ??= setImmediate(() => {
        this.#next = setImmediate(() => this.#judge(monoMs));
      });
    }, LOOK_EVERY_MS);
  }

  /** Ends no lease from now on, because the hub itself keeps heartbeats out. */
  suspend(): void {
    this.#isSuspended = true;
  }

  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#next);
  }

  #judge(monoMs: number): void {
    const { clock, onTick } = this.#options;
    this.#next = undefined;
    const now = { wallMs: clock.now().wallMs, monoMs };
    if (!this.#isSuspended && this.#expire(now)) {
      this.#next = setImmediate(() => this.#judge(monoMs));
      return;
    }
    const before = this.#judged;
    this.#judged = now;
    onTick(now, before);
  }

  /** @returns whether more sessions are due. */
  #expire(now: Moment): boolean {
    const { presence, onChange, onDoubt } = this.#options;
    const { changes, lapsed, doubted, isMoreDue } = presence.expire(now, BUDGET);
    for (const doubt of doubted) onDoubt(doubt);
    for (const change of changes) for (const listener of onChange) listener(change);
    for (const session of lapsed) session.owner.lapsed(session);
    return isMoreDue;
  }
}
