import { describe, expect, it } from 'vitest';
import { Friends } from '../../bench/lib/friends.ts';

describe('the graph of friends', () => {
  it('is the same read forwards and backwards, for every watcher and user', () => {
    for (const [users, each] of [
      [1, 1],
      [50, 50],
      [100, 33],
      [1000, 50],
    ] as const) {
      const friends = new Friends(users, each);
      for (let watcher = 0; watcher < 20; watcher += 1) {
        const watched = friends.allOf(watcher);
        expect(new Set(watched).size).toBe(each);
        const slots = Array.from({ length: users }, (_, user) => friends.slotOf(watcher, user));
        expect(watched.map((user) => slots[user])).toEqual([...watched.keys()]);
        expect(slots.filter((slot) => slot >= 0)).toHaveLength(each);
      }
    }
  });

  it('knows no user that there is not', () => {
    const friends = new Friends(10, 5);
    for (const user of [-1, 10, 1_000_000, Number.NaN]) expect(friends.slotOf(3, user)).toBe(-1);
  });

  it('spreads the watchers over the users', () => {
    const friends = new Friends(1000, 50);
    const followers = new Map<number, number>();
    for (let watcher = 0; watcher < 1000; watcher += 1)
      for (const user of friends.allOf(watcher)) followers.set(user, (followers.get(user) ?? 0) + 1);
    expect(followers.size).toBeGreaterThan(900);
    expect(Math.max(...followers.values())).toBeLessThan(500);
  });

  it('refuses more friends than users', () => {
    expect(() => new Friends(10, 11)).toThrow('11 of 10');
  });
});
