/**
 * Computes who watches whom, without a table: each watcher watches this many users, spread evenly over all of them
 * from a starting point that a hash of its number gives. The reverse is computed too. Pure.
 */
export class Friends {
  readonly #users: number;
  readonly #each: number;
  readonly #stride: number;

  /** `each` of at most `users`. */
  constructor(users: number, each: number) {
    if (each < 1 || each > users) throw new Error(`nobody can watch ${each} of ${users} users`);
    this.#users = users;
    this.#each = each;
    this.#stride = Math.floor(users / each);
  }

  friendOf(watcher: number, nth: number): number {
    return (this.#base(watcher) + nth * this.#stride) % this.#users;
  }

  /** Which friend of the watcher that user is; -1: none. */
  slotOf(watcher: number, user: number): number {
    if (!(user >= 0 && user < this.#users)) return -1;
    const distance = (user - this.#base(watcher) + this.#users) % this.#users;
    if (distance % this.#stride !== 0) return -1;
    const slot = distance / this.#stride;
    return slot < this.#each ? slot : -1;
  }

  allOf(watcher: number): number[] {
    return Array.from({ length: this.#each }, (_, nth) => this.friendOf(watcher, nth));
  }

  #base(watcher: number): number {
    return (Math.imul(watcher, 2_654_435_761) >>> 8) % this.#users;
  }
}
