/**
 * A timing wheel: very many items, each looked at about when it is due, without a timer each and without a scan of all.
 * An item stands in one slot; being alive costs it nothing: only when its slot comes by is it asked when to look again.
 * An item has one place at most: moving or canceling it takes the old place away at once, so that however often an item
 * is moved, the wheel does not grow. Knows nothing of leases.
 */

/** An item remembers the tick it waits for and its place in that slot. Begin with `NOT_SCHEDULED` and 0, and leave both to the wheel. */
export interface Timed {
  wheelTick: number;
  wheelPlace: number;
}
export const NOT_SCHEDULED = -1;

/** Answer of a visit that is done with its item. */
export const DONE = -1;

export class TimingWheel<T extends Timed> {
  readonly #tickMs: number;
  readonly #slots: T[][];
  /** The last tick whose slot has been taken out. */
  #tick: number;
  /** The slot in hand: what is left of it when a budget ran out. Null where an item was looked at or taken away. */
  #inHand: (T | null)[] = [];
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

  /** How many places are taken: one for each item that is scheduled. */
  get placeCount(): number {
    const inHand = this.#inHand.filter((item) => item !== null).length;
    return this.#slots.reduce((count, slot) => count + slot.length, inHand);
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
        const item = this.#inHand[this.#nextInHand] ?? null;
        this.#inHand[this.#nextInHand++] = null;
        if (item !== null) this.#look(item, nowTick, visit);
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
      const item = this.#inHand[i] ?? null;
      if (item !== null && item.wheelTick <= this.#tick && counts(item)) count++;
    }
    const last = Math.min(Math.ceil(untilMs / this.#tickMs), this.#tick + this.#slots.length - 1);
    for (let tick = this.#tick + 1; tick <= last && count < enough; tick++) {
      for (const item of this.#slotOf(tick)) if (item.wheelTick === tick && counts(item)) count++;
    }
    return count;
  }

  #look(item: T, nowTick: number, visit: (item: T) => number): void {
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

  /** The last item of the slot takes the place. */
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
