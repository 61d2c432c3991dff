/**
 * What every store must do, as suites: `storeContract` for one run, `lastingStoreContract` across runs. The callers say
 * how a store is opened; a run that ends without `closeCleanly` stands for one that was killed.
 */
import { describe, expect, test } from 'vitest';
import { CEILING_AHEAD_MS } from '../../server/presence/version-clock.ts';
import type { Store, StoredEntry, StoredSession } from '../../server/storage/port.ts';
import { WRITTEN_WITHIN_MS } from '../../server/storage/write-behind.ts';

export interface StoreRun {
  readonly store: Store;
  /** Lets go of the storage without a word to the store. */
  end(): void;
}

/** Opens a run of one and the same storage. */
export type OpenRun = (wallMs: number) => StoreRun;

export function entry(user: string, v: number, more: Partial<StoredEntry> = {}): StoredEntry {
  return {
    user,
    status: 'online',
    code: 1,
    since: v,
    lastSeen: v,
    devices: ['web'],
    text: null,
    v,
    sessions: [],
    ...more,
  };
}

export function session(more: Partial<StoredSession> = {}): StoredSession {
  const said = { adapter: 'ws-json', device: 'web', status: 'online', code: 1, text: '' } as const;
  return { ...said, statusSetNo: 1, textSetNo: 0, startedAt: 4900, lastSignAt: 5000, leaseEndsAt: 30_000, ...more };
}

export function storeContract(newPlace: () => OpenRun): void {
  const openFirst = (wallMs: number): Store => newPlace()(wallMs).store;

  describe('a store in its first run', () => {
    test('was born, starts its clock and is certain from the moment it was opened', () => {
      expect(openFirst(5000).state).toEqual({
        bornAt: 5000,
        clockFloor: 5000,
        certainFrom: 5000,
        lastRunEndedBy: null,
        sureUntil: null,
      });
    });

    test('recalls nothing of a user it has never been given', () => {
      expect(openFirst(5000).recall('42')).toBeUndefined();
    });

    test('recalls since, last seen and version as they were kept, and nothing more', () => {
      const store = openFirst(5000);
      store.keep([entry('42', 5001, { since: 4000, lastSeen: null, sessions: [session()] })]);
      expect(store.recall('42')).toEqual({ since: 4000, lastSeen: null, v: 5001 });
    });

    test('gives an entry with sessions as it was kept, with texts and labels of any form', () => {
      const store = openFirst(5000);
      const kept = entry('42', 5001, {
        status: 'busy',
        code: 77,
        devices: ['a,b', '["c"]', 'Büro 電話 "x"'],
        text: "it's a 'text', with \u{1f600} and \\ and\na line",
        sessions: [session({ device: 'Büro 電話 "x"', text: '\u{1f600} \\\n' })],
      });
      store.keep([kept]);
      expect([...store.withSessions()]).toEqual([kept]);
    });

    test('keeps all entries of a call, the last of each user', () => {
      const store = openFirst(5000);
      store.keep([entry('a', 5001), entry('b', 5002), entry('a', 5003, { text: 'later' })]);
      expect([store.recall('a'), store.recall('b')]).toMatchObject([{ v: 5003 }, { v: 5002 }]);
    });

    test('takes a newer last seen at an unchanged version', () => {
      const store = openFirst(5000);
      store.keep([entry('a', 5001)]);
      store.keep([entry('a', 5001, { lastSeen: 5900 })]);
      expect(store.recall('a')?.lastSeen).toBe(5900);
    });

    test('never lets an older version take the place of a newer one', () => {
      const store = openFirst(5000);
      store.keep([entry('a', 5009, { text: 'new' })]);
      store.keep([entry('a', 5008, { text: 'old' })]);
      expect(store.recall('a')).toMatchObject({ v: 5009 });
    });

    test('keeps none of the entries when it cannot take one of them, and works on', () => {
      const store = openFirst(5000);
      const impossible = entry('b', 5001, { status: 'invisible' as 'online' });
      expect(() => store.keep([entry('a', 5001), impossible])).toThrow();
      expect(store.recall('a')).toBeUndefined();
      store.keep([entry('a', 5002)]);
      expect(store.recall('a')).toMatchObject({ v: 5002 });
    });
  });

  describe('blocks', () => {
    const frozen = { user: 'anna', viewer: 'eve', since: 5100, lastSeen: 5090, v: 5101 };

    test('are none in a new store', () => {
      expect([...openFirst(5000).blocks()]).toEqual([]);
    });

    test('are kept as they were set, those of a user never seen too, by user and viewer', () => {
      const store = openFirst(5000);
      const blocks = [
        frozen,
        { ...frozen, viewer: 'mallory', v: 5102 },
        { ...frozen, user: 'eve', viewer: 'anna', lastSeen: null },
        { user: 'never', viewer: 'eve', since: null, lastSeen: null, v: 0 },
      ];
      for (const block of blocks) store.block(block);
      expect(new Set(store.blocks())).toEqual(new Set(blocks));
    });

    test('keep their moment when they are set again', () => {
      const store = openFirst(5000);
      store.block(frozen);
      store.block({ ...frozen, since: 9000, v: 9001 });
      expect([...store.blocks()]).toEqual([frozen]);
    });

    test('are gone when lifted; lifting one that does not stand does nothing', () => {
      const store = openFirst(5000);
      store.block(frozen);
      store.block({ ...frozen, viewer: 'mallory' });
      store.unblock('anna', 'eve');
      store.unblock('anna', 'nobody');
      expect(Array.from(store.blocks(), ({ viewer }) => viewer)).toEqual(['mallory']);
      store.block({ ...frozen, v: 6000 });
      expect(Array.from(store.blocks(), ({ viewer, v }) => `${viewer} ${v}`).sort()).toEqual([
        'eve 6000',
        'mallory 5101',
      ]);
    });
  });
}

export function lastingStoreContract(newPlace: () => OpenRun): void {
  describe('a store after a clean end', () => {
    test('starts its clock above the last value given out, though the wall clock was set back (I18)', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.closeCleanly(7000);
      first.end();
      expect(open(100).store.state).toEqual({
        bornAt: 5000,
        clockFloor: 7001,
        certainFrom: 5000,
        lastRunEndedBy: 7000,
        sureUntil: 7000,
      });
    });

    test('starts its clock at the wall clock if that is ahead', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.raiseCeiling(20_000);
      first.store.closeCleanly(7000);
      first.end();
      expect(open(9000).store.state).toEqual({
        bornAt: 5000,
        clockFloor: 9000,
        certainFrom: 5000,
        lastRunEndedBy: 7000,
        sureUntil: 7000,
      });
    });

    test('recalls who was offline as it was, version and all', () => {
      const open = newPlace();
      const first = open(5000);
      const offline = entry('a', 5005, { status: 'offline', code: -1, devices: [] });
      first.store.keep([offline]);
      first.store.closeCleanly(5010);
      first.end();
      expect(open(9000).store.recall('a')).toEqual({ since: 5005, lastSeen: 5005, v: 5005 });
    });

    test('returns the users with live sessions, with their entries, and no others', () => {
      const open = newPlace();
      const first = open(5000);
      const there = entry('a', 5005, { status: 'away', code: 9, lastSeen: 5004, text: 'lunch', sessions: [session()] });
      const hidden = entry('b', 0, { status: 'offline', since: 0, lastSeen: null, devices: [], sessions: [session()] });
      first.store.keep([there, hidden, entry('gone', 5006, { status: 'offline', devices: [] })]);
      first.store.closeCleanly(5010);
      first.end();
      const { store } = open(9000);
      expect([...store.withSessions()]).toEqual([there, hidden]);
      store.keep([{ ...there, sessions: [] }]);
      expect([...store.withSessions()]).toEqual([hidden]);
    });

    test('is not vouched for by the end of the run before: a kill in the next run counts', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.closeCleanly(6000);
      first.end();
      open(7000).end();
      expect(open(8000).store.state).toMatchObject({ bornAt: 5000, clockFloor: 8000, certainFrom: 8000 });
    });

    test('never starts below where it started before, whatever clock it was closed with', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.closeCleanly(10);
      first.end();
      expect(open(20).store.state.clockFloor).toBe(5001);
    });
  });

  describe('a store after an unclean end', () => {
    test('starts its clock above the ceiling, and is certain only from there', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.raiseCeiling(8000);
      first.end();
      expect(open(6000).store.state).toEqual({
        bornAt: 5000,
        clockFloor: 8001,
        certainFrom: 8001,
        lastRunEndedBy: 8000,
        sureUntil: 8000 - CEILING_AHEAD_MS - WRITTEN_WITHIN_MS,
      });
    });

    test('starts its clock at the wall clock if that is above the ceiling', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.raiseCeiling(8000);
      first.end();
      expect(open(9000).store.state).toEqual({
        bornAt: 5000,
        clockFloor: 9000,
        certainFrom: 9000,
        lastRunEndedBy: 8000,
        sureUntil: 8000 - CEILING_AHEAD_MS - WRITTEN_WITHIN_MS,
      });
    });

    test('has not lowered its ceiling for a lower one', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.raiseCeiling(8000);
      first.store.raiseCeiling(7000);
      first.end();
      expect(open(6000).store.state.clockFloor).toBe(8001);
    });

    test('shows every stored entry above what may have been reported of it, each time it is asked (I18)', () => {
      const open = newPlace();
      const first = open(5000);
      const offline = entry('a', 5005, { status: 'offline', code: -1, devices: [] });
      first.store.keep([offline, entry('b', 5006)]);
      first.store.raiseCeiling(8000);
      first.end();
      const { store } = open(6000);
      expect(store.recall('a')).toEqual({ since: 5005, lastSeen: 5005, v: 8001 });
      expect(store.recall('a')).toEqual(store.recall('a'));
      expect(store.recall('b')?.v).toBe(8001);
    });

    test('shows what was kept since then as it was kept', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.keep([entry('a', 5005), entry('b', 5006)]);
      first.store.raiseCeiling(8000);
      first.end();
      const { store } = open(6000);
      store.keep([entry('a', 8002)]);
      expect(store.recall('a')).toEqual({ since: 8002, lastSeen: 8002, v: 8002 });
    });

    test('remembers through a clean run from when it is certain', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.keep([entry('a', 5005, { status: 'offline', code: -1, devices: [] })]);
      first.store.raiseCeiling(8000);
      first.end();
      const second = open(6000);
      second.store.closeCleanly(8500);
      second.end();
      const { store } = open(9000);
      expect(store.state.certainFrom).toBe(8001);
      expect(store.recall('a')?.v).toBe(8001);
    });

    test('shows nothing at a version of the run before, though two runs in a row were killed at once', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.keep([entry('a', 5005)]);
      first.store.raiseCeiling(8000);
      first.end();
      const second = open(100);
      const shown = second.store.recall('a')?.v;
      second.end();
      const third = open(100);
      expect(third.store.recall('a')?.v).toBeGreaterThan(shown!);
    });
  });

  describe('the last moment of which a store is sure', () => {
    /** Runs in a row, each of which ends cleanly at an instant, or with a kill (null). @returns the state after them. */
    const after = (open: OpenRun, ...runs: ((store: Store) => number | null)[]) => {
      for (const [index, run] of runs.entries()) {
        const opened = open(5000 + index * 1000);
        const endedAt = run(opened.store);
        if (endedAt !== null) opened.store.closeCleanly(endedAt);
        opened.end();
      }
      return open(100_000).store.state;
    };

    test('stays the first end, however the runs after it end, until one of them says that it is sure', () => {
      const killed = () => null;
      const sure = (endedAt: number) => (store: Store) => {
        store.setSureUntil(null);
        return endedAt;
      };
      expect(after(newPlace(), () => 5900, killed).sureUntil).toBe(5900);
      expect(
        after(
          newPlace(),
          () => 5900,
          killed,
          () => 7900,
        ).sureUntil,
      ).toBe(5900);
      expect(after(newPlace(), () => 5900, sure(6900)).sureUntil).toBe(6900);
      expect(after(newPlace(), killed, () => 6900).sureUntil).toBeLessThanOrEqual(5000);
      expect(after(newPlace(), killed, sure(6900)).sureUntil).toBe(6900);
    });

    test('is the stored one, if a run ended while it was not certain', () => {
      const doubting = (endedAt: number | null) => (store: Store) => {
        store.setSureUntil(5500);
        return endedAt;
      };
      expect(after(newPlace(), doubting(5900)).sureUntil).toBe(5500);
      expect(after(newPlace(), doubting(null)).sureUntil).toBe(5500);
    });

    test('is before all that is certain if one of those ends is unclean, and only then', () => {
      const isUnclean = ({ sureUntil, certainFrom }: Store['state']) => sureUntil !== null && sureUntil < certainFrom;
      const clean = (endedAt: number) => () => endedAt;
      const killed = () => null;
      expect(isUnclean(after(newPlace(), clean(5900), clean(6900)))).toBe(false);
      expect(isUnclean(after(newPlace(), clean(10), clean(10)))).toBe(false);
      expect(isUnclean(after(newPlace(), killed, clean(6900)))).toBe(true);
      expect(isUnclean(after(newPlace(), clean(5900), killed, clean(7900)))).toBe(true);
    });
  });

  describe('blocks after a restart', () => {
    const frozen = { user: 'anna', viewer: 'eve', since: 5100, lastSeen: 5090, v: 5101 };
    const never = { user: 'never', viewer: 'eve', since: null, lastSeen: null, v: 0 };

    test('are as they were after a clean end', () => {
      const open = newPlace();
      const first = open(5000);
      for (const block of [frozen, never]) first.store.block(block);
      first.store.closeCleanly(5200);
      first.end();
      expect(new Set(open(9000).store.blocks())).toEqual(new Set([frozen, never]));
    });

    test('are there after an unclean end, and lifted ones are not, with nothing but their versions raised as those of entries are', () => {
      const open = newPlace();
      const first = open(5000);
      for (const block of [frozen, never, { ...frozen, viewer: 'lifted' }]) first.store.block(block);
      first.store.unblock('anna', 'lifted');
      first.store.keep([entry('anna', 5090)]);
      first.store.raiseCeiling(8000);
      first.end();
      const { store } = open(6000);
      expect(new Set(store.blocks())).toEqual(new Set([{ ...frozen, v: 8001 }, never]));
      expect(store.recall('anna')?.v).toBe(8001);
    });

    test('keep the raised version through a clean run', () => {
      const open = newPlace();
      const first = open(5000);
      first.store.block(frozen);
      first.store.raiseCeiling(8000);
      first.end();
      const second = open(6000);
      second.store.closeCleanly(8500);
      second.end();
      expect([...open(9000).store.blocks()]).toEqual([{ ...frozen, v: 8001 }]);
    });
  });
}
