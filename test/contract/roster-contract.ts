/**
 * What every roster must do, as suites: `rosterContract` for one run, `lastingRosterContract` across runs. The callers
 * say how a roster is opened.
 */
import { describe, expect, test } from 'vitest';
import { TOMBSTONE_MS, type Edge, type StoredRoster } from '../../server/roster/port.ts';

export interface RosterRun {
  readonly roster: StoredRoster;
  end(): void;
}

/** Edges written as `a>b`. */
function edges(...arrows: string[]): Edge[] {
  return arrows.map((arrow) => {
    const [user = '', friend = ''] = arrow.split('>');
    return { user, friend };
  });
}

export function rosterContract(newRoster: () => StoredRoster): void {
  describe('a list', () => {
    test('is empty for a user that was never seen', () => {
      expect(newRoster().friendsOf('42')).toEqual([]);
    });

    test('is sorted by code unit, with ids of every allowed character', () => {
      const roster = newRoster();
      const sorted = ['-', '.x', '10', '9', ':', '@home', 'B', '_', 'a', 'a.b', 'a@b', 'b'.repeat(128)];
      const shuffled = [...sorted].sort((a, b) => a.length - b.length || (a < b ? 1 : -1));
      // One edit each, so that no order of times or of one edit can pass for the right one.
      for (const [n, friend] of shuffled.entries()) roster.edit({ kind: 'add', edges: [{ user: 'u', friend }] }, n + 1);
      expect(roster.friendsOf('u')).toEqual(sorted);
      expect(roster.changesSince('u', 0)?.added).toEqual(sorted);
    });

    test('holds a user’s own edges alone, even if one id begins with another', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('1>2', '10>3', '2>1') }, 1);
      expect(roster.friendsOf('1')).toEqual(['2']);
    });

    test('holds ten thousand friends', () => {
      const roster = newRoster();
      const friends = Array.from({ length: 10_000 }, (_, n) => `f${String(n).padStart(5, '0')}`);
      roster.edit({ kind: 'replace', user: 'u', friends, mutual: false }, 1);
      expect(roster.friendsOf('u')).toEqual(friends);
    });
  });

  describe('an edit', () => {
    test('that adds says which edges were not there', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 1);
      const change = roster.edit({ kind: 'add', edges: edges('a>b', 'a>c', 'a>c') }, 2);
      expect(change).toEqual({ added: edges('a>c'), removed: [] });
      expect(roster.friendsOf('a')).toEqual(['b', 'c']);
    });

    test('that removes says which edges were there', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b', 'b>a') }, 1);
      const change = roster.edit({ kind: 'remove', edges: edges('a>b', 'a>c', 'a>b') }, 2);
      expect(change).toEqual({ added: [], removed: edges('a>b') });
      expect([roster.friendsOf('a'), roster.friendsOf('b')]).toEqual([[], ['a']]);
    });

    test('that replaces one way changes the user’s own edges alone', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b', 'b>a', 'a>c', 'c>a') }, 1);
      const change = roster.edit({ kind: 'replace', user: 'a', friends: ['d', 'c'], mutual: false }, 2);
      expect(change).toEqual({ added: edges('a>d'), removed: edges('a>b') });
      expect(['a', 'b', 'c', 'd'].map((user) => roster.friendsOf(user))).toEqual([['c', 'd'], ['a'], ['a'], []]);
    });

    test('that replaces both ways has kept and new friends follow back, and dropped ones stop', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>dropped', 'dropped>a', 'a>kept', 'follower>a') }, 1);
      const change = roster.edit({ kind: 'replace', user: 'a', friends: ['kept', 'new'], mutual: true }, 2);
      expect(change).toEqual({
        added: edges('kept>a', 'a>new', 'new>a'),
        removed: edges('a>dropped', 'dropped>a'),
      });
      expect(roster.friendsOf('a')).toEqual(['kept', 'new']);
      expect(['dropped', 'kept', 'new', 'follower'].map((user) => roster.friendsOf(user))).toEqual([
        [],
        ['a'],
        ['a'],
        ['a'],
      ]);
    });

    test('that replaces with nothing empties the list', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b', 'b>a') }, 1);
      roster.edit({ kind: 'replace', user: 'a', friends: [], mutual: true }, 2);
      expect([roster.friendsOf('a'), roster.friendsOf('b')]).toEqual([[], []]);
    });

    test('that repeats a list changes nothing', () => {
      const roster = newRoster();
      roster.edit({ kind: 'replace', user: 'a', friends: ['b', 'c'], mutual: true }, 1);
      const again = roster.edit({ kind: 'replace', user: 'a', friends: ['c', 'b'], mutual: true }, 2);
      expect(again).toEqual({ added: [], removed: [] });
      expect(roster.changesSince('a', 1)).toEqual({ added: [], removed: [] });
    });

    test('that fails leaves no half of itself, and the roster works on', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 1);
      // Nobody may befriend oneself: callers refuse it, and storage has the last word.
      expect(() => roster.edit({ kind: 'replace', user: 'a', friends: ['c', 'a'], mutual: false }, 2)).toThrow();
      expect(roster.friendsOf('a')).toEqual(['b']);
      expect(roster.changesSince('a', 1)).toEqual({ added: [], removed: [] });
      roster.edit({ kind: 'add', edges: edges('a>c') }, 3);
      expect(roster.friendsOf('a')).toEqual(['b', 'c']);
    });
  });

  describe('changes since an instant', () => {
    test('are those later than it', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>old', 'a>gone', 'a>long-gone', 'b>x') }, 10);
      roster.edit({ kind: 'remove', edges: edges('a>long-gone') }, 20);
      roster.edit({ kind: 'add', edges: edges('a>new', 'a>newer') }, 21);
      roster.edit({ kind: 'remove', edges: edges('a>gone') }, 22);
      expect(roster.changesSince('a', 20)).toEqual({ added: ['new', 'newer'], removed: ['gone'] });
      expect(roster.changesSince('a', 22)).toEqual({ added: [], removed: [] });
    });

    test('do not count a friend as new who was there already', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 10);
      roster.edit({ kind: 'add', edges: edges('a>b') }, 20);
      expect(roster.changesSince('a', 10)?.added).toEqual([]);
    });

    test('name a friend who came back as added, not as removed', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 10);
      roster.edit({ kind: 'remove', edges: edges('a>b') }, 20);
      roster.edit({ kind: 'add', edges: edges('a>b') }, 30);
      expect(roster.changesSince('a', 10)).toEqual({ added: ['b'], removed: [] });
    });

    test('name a friend who left, came back and left as removed, at the last time', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 10);
      roster.edit({ kind: 'remove', edges: edges('a>b') }, 20);
      roster.edit({ kind: 'add', edges: edges('a>b') }, 30);
      roster.edit({ kind: 'remove', edges: edges('a>b') }, 40);
      expect(roster.changesSince('a', 35)).toEqual({ added: [], removed: ['b'] });
    });

    test('are known for a day after tombstones were forgotten, and not for longer', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b', 'a>c') }, 10);
      roster.edit({ kind: 'remove', edges: edges('a>b') }, 20);
      roster.edit({ kind: 'remove', edges: edges('a>c') }, 30);
      expect(roster.forgetTombstones(TOMBSTONE_MS + 30)).toBe(false);
      expect(roster.changesSince('a', 29)).toBeUndefined();
      expect(roster.changesSince('a', 30)).toEqual({ added: [], removed: [] });
    });

    test('still name a tombstone that is a day old to the millisecond', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: edges('a>b') }, 10);
      roster.edit({ kind: 'remove', edges: edges('a>b') }, 31);
      roster.forgetTombstones(TOMBSTONE_MS + 30);
      expect(roster.changesSince('a', 30)?.removed).toEqual(['b']);
    });
  });

  test('an edge is looked up in one direction', () => {
    const roster = newRoster();
    roster.edit({ kind: 'add', edges: edges('a>b', 'a>c') }, 1);
    roster.edit({ kind: 'remove', edges: edges('a>c') }, 2);
    const asked = edges('a>b', 'b>a', 'a>c', 'x>y').map(({ user, friend }) => roster.follows(user, friend));
    expect(asked).toEqual([true, false, false, false]);
  });

  describe('a list that an edit would make too long', () => {
    const withFriends = (user: string, count: number): Edge[] =>
      Array.from({ length: count }, (_, n) => ({ user, friend: `f${n}` }));

    test('is that of the user who gets one more than allowed, in either direction', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: [...withFriends('full', 3), ...withFriends('almost', 2)] }, 1);
      const added = (...arrows: string[]): string | undefined =>
        roster.overfull({ kind: 'add', edges: edges(...arrows) }, 3);
      expect(added('almost>x')).toBeUndefined();
      expect(added('almost>x', 'almost>y')).toBe('almost');
      expect(added('full>x', 'x>full')).toBe('full');
      expect(added('x>full', 'full>x')).toBe('full');
      expect(added('x>full')).toBeUndefined();
    });

    test('is none if nothing is new: an existing edge and a repeated one do not count', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: [...withFriends('full', 3), ...withFriends('almost', 2)] }, 1);
      expect(roster.overfull({ kind: 'add', edges: edges('full>f0', 'full>f2') }, 3)).toBeUndefined();
      expect(roster.overfull({ kind: 'add', edges: edges('almost>x', 'almost>x', 'almost>f1') }, 3)).toBeUndefined();
      expect(roster.overfull({ kind: 'remove', edges: edges('full>f0') }, 1)).toBeUndefined();
    });

    test('is the one replaced if the new one is, and that of a friend who has to follow back', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: [...withFriends('full', 3), ...withFriends('a', 3), ...edges('b>a')] }, 1);
      const replaced = (friends: string[], mutual: boolean, max = 3): string | undefined =>
        roster.overfull({ kind: 'replace', user: 'a', friends, mutual }, max);
      expect(replaced(['x', 'y', 'z'], true)).toBeUndefined();
      expect(replaced(['x', 'y', 'z', 'f1'], true)).toBe('a');
      expect(replaced(['full', 'b'], false)).toBeUndefined();
      expect(replaced(['b', 'full'], true)).toBe('full');
      roster.edit({ kind: 'add', edges: edges('full>a') }, 2);
      expect(replaced(['b', 'full'], true)).toBeUndefined();
    });

    test('is none if one that is too long already shrinks, or changes without growing', () => {
      const roster = newRoster();
      roster.edit({ kind: 'add', edges: withFriends('a', 5) }, 1);
      const replaced = (...friends: string[]): string | undefined =>
        roster.overfull({ kind: 'replace', user: 'a', friends, mutual: false }, 3);
      expect(replaced('f0', 'f1', 'f2', 'f3')).toBeUndefined();
      expect(replaced('f0', 'x', 'y', 'z', 'w')).toBeUndefined();
      expect(replaced('f0', 'f1', 'f2', 'f3', 'f4', 'x')).toBe('a');
    });

    test('is found among two thousand pairs in no time, and agrees with the edit', () => {
      const roster = newRoster();
      const pairs = Array.from({ length: 2000 }, (_, n) => edges(`hub>f${n}`, `f${n}>hub`)).flat();
      const startedAt = performance.now();
      expect(roster.overfull({ kind: 'add', edges: pairs }, 2000)).toBeUndefined();
      expect(roster.overfull({ kind: 'add', edges: pairs }, 1999)).toBe('hub');
      roster.edit({ kind: 'add', edges: pairs }, 1);
      expect(roster.overfull({ kind: 'add', edges: pairs }, 1)).toBeUndefined();
      // All of it takes some 50 ms; a look through the pairs for each of them would take seconds.
      expect(performance.now() - startedAt).toBeLessThan(1500);
      expect(roster.friendsOf('hub')).toHaveLength(2000);
    });
  });

  test('forgetting many tombstones takes several calls, and ends', () => {
    const roster = newRoster();
    const many = Array.from({ length: 2500 }, (_, n) => ({ user: 'a', friend: `f${n}` }));
    roster.edit({ kind: 'add', edges: many }, 10);
    roster.edit({ kind: 'remove', edges: many }, 20);
    let calls = 1;
    while (roster.forgetTombstones(TOMBSTONE_MS + 21)) calls += 1;
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(100);
    expect(roster.changesSince('a', 20)).toBeUndefined();
  });
}

export function lastingRosterContract(newPlace: () => () => RosterRun): void {
  describe('a roster after a restart', () => {
    test('has its edges, their times and its tombstones', () => {
      const open = newPlace();
      const first = open();
      first.roster.edit({ kind: 'add', edges: edges('a>b', 'a>c', 'a>d') }, 10);
      first.roster.edit({ kind: 'remove', edges: edges('a>c') }, 20);
      first.roster.edit({ kind: 'add', edges: edges('a>e') }, 21);
      first.end();
      const { roster } = open();
      expect(roster.friendsOf('a')).toEqual(['b', 'd', 'e']);
      expect(roster.changesSince('a', 15)).toEqual({ added: ['e'], removed: ['c'] });
    });

    test('does not answer for a time whose tombstones it has forgotten', () => {
      const open = newPlace();
      const first = open();
      first.roster.edit({ kind: 'add', edges: edges('a>b') }, 10);
      first.roster.edit({ kind: 'remove', edges: edges('a>b') }, 20);
      first.roster.forgetTombstones(TOMBSTONE_MS + 30);
      first.end();
      const { roster } = open();
      expect(roster.changesSince('a', 15)).toBeUndefined();
      expect(roster.changesSince('a', 30)).toEqual({ added: [], removed: [] });
    });
  });
}
