/** What a record becomes with the sessions of one node in it, whatever the other nodes have in it. */
import { describe, expect, it } from 'vitest';
import { nextRecord, type Context, type Own, type OwnSession } from '../../../server/cluster/record/next-record.ts';
import { decodeRecord, type UserRecord } from '../../../server/cluster/record/record.ts';
import { Replicas } from '../../../server/cluster/replicas.ts';
import { offlineFold } from '../../../server/presence/fold.ts';

const NOW = 1_767_225_600_000;

function session(k: string, more: Partial<OwnSession> = {}): OwnSession {
  const base = { k, a: 'ws-json' as const, d: 'web', s: 'online' as const, c: 1, x: '', i: 1, j: 1, l: 25_000 };
  return { ...base, statusAgeMs: 0, textAgeMs: null, startAgeMs: 0, ...more };
}

function own(inc: string, sessions: OwnSession[], more: Partial<Own> = {}): Own {
  const nothing = { former: [], goodbyes: [], origin: '', blocks: new Map<string, boolean>() };
  return { inc, sessions, signAgeMs: 0, changeAgeMs: 0, ...nothing, ...more };
}

const gone = new Set<string>();
function context(more: Partial<Context> = {}): Context {
  return {
    user: '42',
    offline: offlineFold(-1),
    clock: NOW,
    latestBefore: () => 0,
    written: [],
    lostParts: {},
    liveness: { hasEnded: (inc) => gone.has(inc), silentMs: () => 5000, isOver: () => false },
    keepsAll: false,
    isLost: false,
    ...more,
  };
}

let n = NOW;
/** Does what the engine would do. Returns the record after it, or the same one if nothing was to be written. */
function written(record: UserRecord | undefined, by: Own, more: Partial<Context> = {}): UserRecord {
  const patch = nextRecord(record, by, context({ clock: n, ...more }));
  if (patch === undefined) return record!;
  n = Math.max(n + 1000, patch.floor + 1);
  const v = patch.isShown ? n : (record?.v ?? 0);
  return decodeRecord({ n, v, op: `${by.inc}.${n}`, t: n, body: patch.body });
}

describe('the next record', () => {
  it('holds the sessions of all nodes, and their fold', () => {
    let record = written(undefined, own('a', [session('1', { s: 'away', c: 2 })]));
    record = written(record, own('b', [session('1', { d: 'phone' })]));
    expect(record.entry).toMatchObject({ status: 'online', devices: ['phone', 'web'] });
    expect(Object.keys(record.parts!)).toEqual(['a', 'b']);
    record = written(record, own('b', []));
    expect(record.entry).toMatchObject({ status: 'away', devices: ['web'] });
  });

  it('keeps since when the values of a session over HTTP count that moved before the engine lost the record (I7)', () => {
    const cron = { a: 'http' as const, d: 'cron', x: 'hi', textAgeMs: 0 };
    const before = written(undefined, own('a', [session('1', cron)])).parts!;
    const moved = own('b', [session('9', cron)]);
    const after = written(undefined, moved, { lostParts: before }).parts!['b']![0]!;
    expect([after.S, after.X]).toEqual([before['a']![0]!.S, before['a']![0]!.X]);
    const begun = written(undefined, moved).parts!['b']![0]!;
    expect(begun.S).toBeGreaterThan(after.S); // otherwise this test shows nothing
  });

  it('is not written if nothing changes', () => {
    const record = written(undefined, own('a', [session('1')]));
    expect(nextRecord(record, own('a', [session('1')]), context())).toBeUndefined();
    expect(nextRecord(record, own('b', []), context())).toBeUndefined();
  });

  it('shows an invisible user as offline, and gives no new version to a hidden change', () => {
    const hidden = written(undefined, own('a', [session('1', { s: 'invisible', c: -1 })]));
    expect([hidden.entry.status, hidden.v]).toEqual(['offline', 0]);
    const both = written(hidden, own('b', [session('1')]));
    expect([both.entry.status, both.v]).toEqual(['offline', 0]);
  });

  it('is not hidden by an invisible session that ended during an outage', () => {
    const hidden = written(undefined, own('a', [session('1', { s: 'invisible', c: -1 })]));
    const moved = written(hidden, own('b', [session('1')]), { keepsAll: true });
    expect(moved.entry.status).toBe('offline');
    expect(written(moved, own('a', []), { keepsAll: true }).entry.status).toBe('online');
  });

  it('gives a block its own version if the user leaves in the same operation (C1)', () => {
    const online = written(undefined, own('a', [session('1')]));
    const blocked = written(online, own('a', [], { blocks: new Map([['viewer', true]]) }));
    expect(blocked.hidden.get('viewer')).toEqual({ since: blocked.t, lastSeen: blocked.t, v: blocked.n });
  });

  it('dates since and lastSeen by age, on the clock of the engine', () => {
    const record = written(undefined, own('a', [session('1')], { changeAgeMs: 400, signAgeMs: 300 }));
    expect(record.entry).toMatchObject({ since: record.t - 400, lastSeen: record.t - 300 });
    const later = written(record, own('a', [session('1', { s: 'busy', c: 3, i: 2 })], { signAgeMs: null }));
    expect(later.entry).toMatchObject({ since: later.t, lastSeen: record.t - 300 });
  });

  it('shows the text that was set last, on any node', () => {
    let record = written(undefined, own('a', [session('1', { x: 'first', textAgeMs: 0 })]));
    record = written(record, own('b', [session('1', { d: 'phone', x: 'second', textAgeMs: 0 })]));
    expect(record.entry.text).toBe('second');
    record = written(record, own('a', [session('1', { x: 'third', textAgeMs: 0, j: 2 })]));
    expect(record.entry.text).toBe('third');
  });

  it('shows the text that was set last even if the engine clock went back and messages had no sessions', () => {
    const text = (x: string, j: number): OwnSession => session('1', { x, j, textAgeMs: 0 });
    const first = written(undefined, own('a', [text('first', 1)]), { clock: n + 60_000 });
    const heard = {
      ...first,
      body: JSON.stringify({ s: 'online', c: 1, d: ['web'], x: 'first', t: 1, l: 1, g: null }),
    };
    const replicas = new Replicas(
      1,
      () => ({ epoch: 0, clock: 0 }),
      () => undefined,
      () => undefined,
    );
    const replica = replicas.acquire('42');
    replicas.adopt(replica, heard, 500);
    expect(replica.record?.parts).toBeNull();
    const latestBefore = (ageMs: number): number => replica.latestBefore(1000 - ageMs);
    const later = session('1', { d: 'phone', x: 'second', textAgeMs: 100 });
    expect(written(first, own('b', [later]), { latestBefore }).entry.text).toBe('second');
  });

  it('keeps the stamps of status and text even if the engine lost the record', () => {
    const record = written(undefined, own('a', [session('1', { textAgeMs: 50 })]));
    const again = written(undefined, own('a', [session('1', { textAgeMs: 9000 })]), { written: record.parts!['a']! });
    expect(again.parts).toEqual(record.parts);
  });

  it('removes no session while other nodes may not have written users that moved to them', () => {
    const record = written(undefined, own('a', [session('1')]));
    expect(nextRecord(record, own('a', []), context({ keepsAll: true }))).toBeUndefined();
    const more = written(record, own('a', [session('2', { d: 'phone' })]), { keepsAll: true });
    expect(more.entry.devices).toEqual(['phone', 'web']);
  });

  it('replaces a session of a dead node by a later one of the same device', () => {
    gone.add('a');
    const record = written(undefined, own('a', [session('1'), session('2', { d: 'phone' })]));
    const next = written(record, own('b', [session('1')]));
    expect(next.parts).toMatchObject({ a: [{ d: 'phone' }], b: [{ d: 'web' }] });
    const older = written(record, own('b', [session('1', { startAgeMs: 6000 })]));
    expect(older.parts!['a']).toHaveLength(2);
    gone.delete('a');
  });

  it('ends sessions of a dead node at a bye of their device, and after their grace', () => {
    gone.add('a');
    const record = written(undefined, own('a', [session('1'), session('2', { d: 'phone' })]));
    expect(written(record, own('b', [], { goodbyes: [{ device: 'web', ageMs: 0 }] })).entry.devices).toEqual(['phone']);
    const liveness = { hasEnded: () => true, silentMs: () => 0, isOver: () => true };
    expect(written(record, own('b', []), { liveness }).entry.status).toBe('offline');
    gone.delete('a');
  });

  it('removes sessions of an earlier incarnation of the node once it may remove sessions', () => {
    const record = written(undefined, own('a', [session('1'), session('2', { d: 'phone' })]));
    const again = own('a2', [session('1')], { former: ['a'] });
    const kept = written(record, again, { keepsAll: true });
    expect(kept.entry.devices).toEqual(['phone', 'web']);
    expect(written(kept, again).parts).toMatchObject({ a2: [{ k: '1' }] });
    expect(Object.keys(written(kept, again).parts!)).toEqual(['a2']);
  });

  it('has one session per device over HTTP: the newest one', () => {
    const http = { a: 'http' as const, d: 'cron' };
    const record = written(undefined, own('a', [session('1', http)]));
    const next = written(record, own('b', [session('1', { ...http, s: 'away', c: 2 })]));
    expect(Object.keys(next.parts!)).toEqual(['b']);
    expect(next.entry.status).toBe('away');
    // The first node does not bring its own back.
    const back = nextRecord(next, own('a', [session('1', http)]), context({ written: record.parts!['a']! }));
    expect(back).toBeUndefined();
  });

  it('dates what a session over HTTP repeats on another node from when it was set (I7)', () => {
    const http = { a: 'http' as const, d: 'cron', i: 5, j: 5, textAgeMs: 0 };
    let record = written(undefined, own('a', [session('1', { ...http, x: 'at work' })]));
    record = written(record, own('c', [session('1', { x: 'on the phone', textAgeMs: 0, startAgeMs: 0 })]));
    const first = record.parts!['a']![0]!;
    const repeated = written(record, own('b', [session('1', { ...http, x: 'at work' })]));
    expect(repeated.entry.text).toBe('on the phone');
    expect(repeated.parts!['b']).toMatchObject([{ S: first.S, X: first.X }]);
    const changed = written(record, own('b', [session('1', { ...http, x: 'at lunch', s: 'busy', c: 3 })]));
    expect(changed.entry).toMatchObject({ status: 'busy', text: 'at lunch' });
    // A connection is a session of its own.
    const page = written(record, own('b', [session('1', { d: 'cron', x: 'at work', textAgeMs: 0 })]));
    expect(page.entry.text).toBe('at work');
  });

  it('ends a session over HTTP at a bye to another node, if that node had received the session', () => {
    const http = { a: 'http' as const, d: 'cron' };
    const record = written(undefined, own('a', [session('1', http), session('2')]));
    const by = own('b', [], { goodbyes: [{ device: 'cron', ageMs: 100 }] });
    const heard = { latestBefore: () => 64 * record.n };
    expect(written(record, by, heard).entry.devices).toEqual(['web']);
    expect(nextRecord(record, by, context())).toBeUndefined();
    expect(nextRecord(record, by, context({ ...heard, keepsAll: true }))).toBeUndefined();
  });

  it('is published without sessions as long as only one node has any', () => {
    const first = nextRecord(undefined, own('a', [session('1')]), context())!;
    expect(first.pushed).not.toContain('\t');
    expect(first.joins).toEqual(['a']);
    const record = written(undefined, own('a', [session('1')]));
    const second = nextRecord(record, own('b', [session('1')]), context())!;
    expect(second.pushed).toBe(second.body);
  });

  it('is written with a new version if the engine lost it', () => {
    const patch = nextRecord(undefined, own('a', []), context({ isLost: true }));
    expect(patch?.isShown).toBe(true);
  });
});

describe('a body that is not a record', () => {
  it.each(['', 'null', '{}', '{"s":"online"}\t{}', '[1]\t[]', '{"s":"on'])('counts as an empty one: %s', (body) => {
    const record = decodeRecord({ n: 5, v: 4, op: 'x.1', t: 3, body });
    expect(record).toMatchObject({ n: 5, v: 4, entry: { status: 'offline' }, parts: {} });
  });
});
