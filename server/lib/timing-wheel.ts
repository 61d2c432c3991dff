/**
 * A timing wheel: very many items, each looked at about when it is due, without a timer each and without a scan of all.
 * An item stands in one slot; being alive costs it nothing: only when its slot comes by is it asked when to look again.
 * Moving an item earlier leaves its old place behind, which is dropped when that slot comes by. Knows nothing of leases.
 */

/** An item remembers the tick it waits for. Give it `NOT_SCHEDULED` at first and leave it to the wheel. */
export interface Timed {
  wheelTick: number;
}
export const NOT_SCHEDULED = -1;

/** Answer of a visit that is done with its item. */
export const DONE = -1;

export class TimingWheel<T extends Timed> {
  readonly #tickMs: number;
  readonly #slots: T[][];
  /** The last tick whose slot has been taken out. */
  #tick: number;
  /** The slot in hand: what is left of it when a budget ran out. */
  #inHand: T[] = [];
  #nextInHand = 0;

  /** `tickMs`: how late a visit may be beside the caller's own rhythm. `slots * tickMs`: beyond it, items are looked at in between. */
  constructor(tickMs: number, slots: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#slots = Array.from({ length: slots }, () => []);
    this.#tick = Math.floor(nowMs / tickMs);
  }

  /** Has the item visited at `dueMs` or up to a tick later, never earlier. Scheduling anew replaces the old date. */
  schedule(item: T, dueMs: number): void {
    const tick = Math.max(Math.ceil(dueMs / this.#tickMs), this.#tick + 1);
    if (tick === item.wheelTick) return;
    item.wheelTick = tick;
    this.#slotOf(tick).push(item);
  }

  cancel(item: T): void {
    item.wheelTick = NOT_SCHEDULED;
  }

  /**
   * Visits what is due. `visit` answers when to look again (ms), or `DONE`. Stops after `budget` items.
   * @returns whether more is due right now.
   */
  advance(nowMs: number, budget: number, visit: (item: T) => number): boolean {
    const nowTick = Math.floor(nowMs / this.#tickMs);
    for (;;) {
      while (this.#nextInHand < this.#inHand.length) {
        if (budget-- <= 0) return true;
        this.#look(this.#inHand[this.#nextInHand++] as T, nowTick, visit);
      }
      if (this.#tick >= nowTick) return false;
      // After a long pause each slot is taken once, not once for every turn the wheel missed.
      this.#tick = Math.max(this.#tick + 1, nowTick - this.#slots.length + 1);
      this.#inHand = this.#takeSlot(this.#tick);
      this.#nextInHand = 0;
    }
  }

  /** How many items wait for a date up to `untilMs`, as far as `counts` says so; stops at `enough`. */
  countUntil(untilMs: number, enough: number, counts: (item: T) => boolean): number {
    let count = 0;
    for (let i = this.#nextInHand; i < this.#inHand.length && count < enough; i++) {
      const item = this.#inHand[i] as T;
      if (item.wheelTick !== NOT_SCHEDULED && item.wheelTick <= this.#tick && counts(item)) count++;
    }
    const last = Math.min(Math.ceil(untilMs / this.#tickMs), this.#tick + this.#slots.length - 1);
    for (let tick = this.#tick + 1; tick <= last && count < enough; tick++) {
      for (const item of this.#slotOf(tick)) if (item.wheelTick === tick && counts(item)) count++;
    }
    return count;
  }

  #look(item: T, nowTick: number, visit: (item: T) => number): void {
    if (item.wheelTick === NOT_SCHEDULED) return;
    if (item.wheelTick > nowTick) {
      const slot = this.#slotOf(item.wheelTick);
      if (slot === this.#slotOf(this.#tick)) slot.push(item); // a later turn of the wheel
      return; // else moved: its other place counts
    }
    item.wheelTick = NOT_SCHEDULED;
    const againAtMs = visit(item);
    if (againAtMs !== DONE) this.schedule(item, againAtMs);
  }

  #slotOf(tick: number): T[] {
    return this.#slots[tick % this.#slots.length] as T[];
  }

  #takeSlot(tick: number): T[] {
    const slot = this.#slotOf(tick);
    this.#slots[tick % this.#slots.length] = [];
    return slot;
  }
}
