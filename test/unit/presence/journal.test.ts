/** The journal of transitions: what is kept, for how long, and what it says of what it has forgotten. */
import { describe, expect, it } from 'vitest';
import {
  adapterNames,
  transitionCauses,
  trueStatuses,
  type TransitionCause,
} from '../../../shared/messages/explain.ts';
import { Journal, type Noted } from '../../../server/presence/explain/journal.ts';
import type { Session } from '../../../server/presence/sessions/session.ts';

const KEY = [0x01234567, 0x89abcdef] as const;
const sessionOf = (user: string, no = 1, adapter: Session['adapter'] = 'http'): Session =>
  ({ user: { id: user }, no, adapter }) as unknown as Session;

function lastOf(journal: Journal, user: string, atMost = 20, bite = 1000): Noted[] {
  const search = journal.search(user, atMost);
  while (journal.lookBack(search, bite));
  return search.found;
}

describe('the journal', () => {
  it('gives back each cause, adapter and status as it was noted, and numbers of sessions beyond 32 bits', () => {
    const journal = new Journal(KEY, 5);
    const expected: Noted[] = [];
    let session = 2 ** 32 - 2;
    for (const cause of Object.keys(transitionCauses) as TransitionCause[]) {
      for (const adapter of adapterNames) {
        for (const from of trueStatuses) {
          const to = trueStatuses[session % trueStatuses.length] ?? 'offline';
          journal.note(session, cause, sessionOf('42', ++session, adapter), from, to);
          expected.unshift({ at: session - 1, cause, adapter, from, to, session });
        }
      }
    }
    expect(lastOf(journal, '42', Infinity)).toEqual(expected);
  });

  it('answers the newest of one user first, however many others there are between, in bites of any size', () => {
    const journal = new Journal(KEY, 0);
    for (let i = 0; i < 30_000; i++) journal.note(i, 'came', sessionOf(`user-${i % 997}`, i), 'offline', 'online');
    const expected = Array.from({ length: 20 }, (_, i) => 30_000 - 1 - ((30_000 - 1 - 500) % 997) - 997 * i);
    for (const bite of [1, 7, 4096, 5000, 1_000_000]) {
      expect(lastOf(journal, 'user-500', 20, bite).map(({ at }) => at)).toEqual(expected);
    }
    expect(lastOf(journal, 'user-1000')).toEqual([]);
  });

  it('has nothing to say before anything was noted', () => {
    const journal = new Journal(KEY, 77);
    expect(lastOf(journal, '42')).toEqual([]);
    expect(journal.since).toBe(77);
  });

  it('forgets the oldest, keeps at least as many as it should, and says from when on nothing is missing (H14)', () => {
    const kept = 10_000;
    const journal = new Journal(KEY, 0, kept);
    for (let i = 1; i <= 50_000; i++) {
      journal.note(i, 'set', sessionOf('42', i), 'online', 'away');
      if (i % 2500 !== 0) continue;
      const all = lastOf(journal, '42', Infinity, 65_536);
      expect(all.length).toBeGreaterThanOrEqual(Math.min(i, kept));
      expect(all.map(({ session }) => session)).toEqual(all.map((_, back) => i - back));
      const oldest = all.at(-1)?.at ?? NaN;
      expect(journal.since).toBe(all.length === i ? 0 : oldest);
    }
  });

  it('stays correct if the wall clock was set back: what it says is missing may be there, never the reverse', () => {
    const journal = new Journal(KEY, 0, 4096);
    for (let i = 0; i < 4096; i++) journal.note(1_000_000 + i, 'set', sessionOf('42', i), 'online', 'away');
    for (let i = 0; i < 20_000; i++) journal.note(i, 'set', sessionOf('7', i), 'online', 'away');
    expect(journal.since).toBe(1_004_096);
  });

  it('that is searched while it goes on shows nothing twice, and nothing of what is overwritten meanwhile', () => {
    const journal = new Journal(KEY, 0, 8192);
    let no = 0;
    const more = (count: number): void => {
      for (let i = 0; i < count; i++) journal.note(no, 'set', sessionOf('42', no++), 'online', 'away');
    };
    more(12_000);
    const search = journal.search('42', Infinity);
    while (journal.lookBack(search, 1000)) more(1500);
    expect(search.found.map(({ session }) => session)).toEqual(search.found.map((_, back) => 11_999 - back));
  });

  it('holds a user by its hash alone: ids that are nearly alike are two users', () => {
    const journal = new Journal(KEY, 0);
    const ids = Array.from({ length: 5000 }, (_, i) => `${i}`).concat([
      'a',
      'aa',
      'aaa',
      'aaaa',
      'aaaaa',
      'A',
      '042',
      '42 ',
    ]);
    for (const id of ids) journal.note(1, 'came', sessionOf(id), 'offline', 'online');
    for (const id of ids) expect(lastOf(journal, id)).toHaveLength(1);
  });
});
