/**
 * A timing wheel: visits very many items at about the time they are due, without a timer for each and without scanning
 * all. An item is in one slot. A heartbeat costs nothing: when its slot is visited, the item is asked when to visit it
 * next. Moving or canceling an item removes it from its slot at once, so that the wheel does not grow however often an
 * item moves. Knows nothing of leases.
 */

/**
 * The wheel stores the tick and the place in its slot in the item. They must start as `NOT_SCHEDULED` and 0, and only
 * the wheel may change them.
 */
export interface Timed {
  wheelTick: number;
  wheelPlace: number;
}
export const NOT_SCHEDULED = -1;

/** The result of a visit after which the item is not visited again. */
export const DONE = -1;

export class TimingWheel<T extends Timed> {
  readonly #tickMs: number;
  readonly #slots: T[][];
  /** The last tick whose slot was taken out. */
  #tick: number;
  /** The rest of the current slot when a budget ran out. Null for items that were visited or removed. */
  #inHand: (T | null)[] = [];
  #nextInHand = 0;

  /**
   * `tickMs` is how late a visit may be, in addition to the caller's own interval. Items due later than `slots *
   * tickMs` are visited in between.
   */
  constructor(tickMs: number, slots: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#slots = Array.from({ length: slots }, () => []);
    this.#tick = Math.floor(nowMs / tickMs);
  }

  /** Schedules a visit at `dueMs` or up to a tick later, never earlier. Replaces an earlier schedule. */
  schedule(item: T, dueMs: number): void {
    const tick = Math.max(Math.ceil(dueMs / this.#tickMs), this.#tick + 1);
    if (tick === item.wheelTick) return;
    this.cancel(item);
    item.wheelTick = tick;
    this.#place(item);
  }

  cancel(item: T): void {
    if (item.wheelTick === NOT_SCHEDULED) return;
    const { wheelPlace } = item;
    if (this.#inHand[wheelPlace] === item) this.#inHand[wheelPlace] = null;
    else this.#takeFromSlot(item);
    item.wheelTick = NOT_SCHEDULED;
  }

  /** Number of scheduled items. */
  get placeCount(): number {
    const inHand = this.#inHand.filter((item) => item !== null).length;
    return this.#slots.reduce((count, slot) => count + slot.length, inHand);
  }

  /**
   * Visits due items. `visit` returns when to visit the item next (ms), or `DONE`. Stops after `budget` items.
   * @returns whether more items are due now.
   */
  advance(nowMs: number, budget: number, visit: (item: T) => number): boolean {
    const nowTick = Math.floor(nowMs / this.#tickMs);
    for (;;) {
      while (this.#nextInHand < this.#inHand.length) {
        if (budget-- <= 0) return true;
        const item = this.#inHand[this.#nextInHand] ?? null;
        this.#inHand[this.#nextInHand++] = null;
        if (item !== null) this.#visit(item, nowTick, visit);
      }
      if (this.#tick >= nowTick) return false;
      // After a long pause each slot is visited once, not once per missed turn of the wheel.
      this.#tick = Math.max(this.#tick + 1, nowTick - this.#slots.length + 1);
      this.#inHand = this.#takeSlot(this.#tick);
      this.#nextInHand = 0;
    }
  }

  /** Returns how many items are scheduled up to `untilMs` and satisfy `counts`. Stops at `enough`. */
  countUntil(untilMs: number, enough: number, counts: (item: T) => boolean): number {
    let count = 0;
    for (let i = this.#nextInHand; i < this.#inHand.length && count < enough; i++) {
      const item = this.#inHand[i] ?? null;
      if (item !== null && item.wheelTick <= this.#tick && counts(item)) count++;
    }
    const last = Math.min(Math.ceil(untilMs / this.#tickMs), this.#tick + this.#slots.length - 1);
    for (let tick = this.#tick + 1; tick <= last && count < enough; tick++) {
      for (const item of this.#slotOf(tick)) if (item.wheelTick === tick && counts(item)) count++;
    }
    return count;
  }

  #visit(item: T, nowTick: number, visit: (item: T) => number): void {
    if (item.wheelTick > nowTick) {
      this.#place(item); // for a later turn of the wheel
      return;
    }
    item.wheelTick = NOT_SCHEDULED;
    const againAtMs = visit(item);
    if (againAtMs !== DONE) this.schedule(item, againAtMs);
  }

  #place(item: T): void {
    const slot = this.#slotOf(item.wheelTick);
    item.wheelPlace = slot.length;
    slot.push(item);
  }

  /** Moves the last item of the slot into the gap. */
  #takeFromSlot(item: T): void {
    const slot = this.#slotOf(item.wheelTick);
    const last = slot.pop();
    if (last === undefined || last === item) return;
    slot[item.wheelPlace] = last;
    last.wheelPlace = item.wheelPlace;
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
