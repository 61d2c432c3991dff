import { describe, expect, it } from 'vitest';
import { asWords, describeEnd, formatLeft, viewOf } from '../../../../../client/dashboard/explain/explain-view.ts';
import { formatTime } from '../../../../../client/ui/ago.ts';
import { explanation, type Explanation } from '../../../../../shared/index.ts';

const NOW = new Date(2026, 10, 26, 12, 0, 0).getTime();

const explained = (parts: Partial<Explanation> = {}): Explanation =>
  explanation.parse({
    user: '42',
    at: NOW,
    entry: {
      ...{ user: '42', status: 'busy', code: 3, since: NOW - 65_000, lastSeen: NOW - 3000 },
      ...{ devices: ['legacy'], v: NOW },
    },
    decision: { status: 'busy', code: 3, session: 'hub-1.1', rule: 'busy wins over online' },
    hidden: { isInvisible: false, from: [], fromCount: 0 },
    sessions: [
      {
        ...{ id: 'hub-1.1', state: 'live', adapter: 'tcp-xml', device: 'legacy', address: '10.0.0.7:5222' },
        ...{ status: 'busy', code: 3, connectedAt: NOW - 65_000, lastHeartbeatAt: NOW - 2000 },
        ...{ leaseEndsAt: NOW + 3000, decides: true },
      },
    ],
    transitions: [
      { at: NOW - 1000, cause: 'set', from: 'online', to: 'busy', adapter: 'tcp-xml', session: 'hub-1.1' },
      { at: NOW - 65_000, cause: 'came', from: 'offline', to: 'online', adapter: 'tcp-xml', session: 'hub-1.1' },
    ],
    transitionsSince: NOW - 600_000,
    ...parts,
  });

describe('an explanation as it is shown', () => {
  it('has the legacy record’s five fields for each session, by their names', () => {
    const [row] = viewOf(explained(), NOW).sessions;
    expect(row!.record).toEqual([
      { name: 'Address', value: '10.0.0.7:5222' },
      { name: 'Identifier', value: '42' },
      { name: 'Network state', value: '3', note: 'busy' },
      { name: 'Connect time', value: formatTime(NOW - 65_000, NOW), note: '1 min 5 s ago' },
      { name: 'Heartbeat time', value: formatTime(NOW - 2000, NOW), note: '2 s ago' },
    ]);
  });

  it('says that an address is only claimed, and where the connection comes from', () => {
    const [session] = explained().sessions;
    const [row] = viewOf(explained({ sessions: [{ ...session!, peerAddress: '192.0.2.1:4711' }] }), NOW).sessions;
    expect(row!.record[0]).toEqual({
      name: 'Address',
      value: '10.0.0.7:5222',
      note: 'claimed, connected from 192.0.2.1:4711',
    });
  });

  it('says what a restart forgot instead of making it up', () => {
    const [session] = explained().sessions;
    const restored = { ...session!, state: 'restored' as const, address: null, connectedAt: null };
    const [row] = viewOf(explained({ sessions: [restored] }), NOW).sessions;
    expect(row!.record.map(({ value }) => value)).toEqual([
      'not known after the restart',
      '42',
      '3',
      'not known after the restart',
      formatTime(NOW - 2000, NOW),
    ]);
  });

  it('counts each lease down, in words and as a part of the whole', () => {
    const leaseAt = (now: number) => {
      const [row] = viewOf(explained(), now).sessions;
      return [row!.leaseLeft, row!.leasePart];
    };
    expect(leaseAt(NOW)).toEqual(['3.0 s', 0.6]);
    expect(leaseAt(NOW + 2000)).toEqual(['1.0 s', 0.2]);
    expect(leaseAt(NOW + 9000)).toEqual(['due', 0]);
  });

  it('shows since when it has this status, and shows last seen only of an offline user', () => {
    const { entry } = explained();
    expect(viewOf(explained(), NOW).seen).toBe(`for 1 min 5 s, since ${formatTime(NOW - 65_000, NOW)}`);
    const gone = { ...entry, status: 'offline' as const, code: -1, devices: [] };
    expect(viewOf(explained({ entry: gone }), NOW).seen).toContain('last seen 3 s ago');
    const never = { ...gone, since: null, lastSeen: null, v: 0 };
    expect(viewOf(explained({ entry: never }), NOW).seen).toBe('The hub has never seen this user.');
  });

  it('says who sees something else', () => {
    expect(viewOf(explained(), NOW).hidden).toEqual([]);
    const hidden = { isInvisible: true, from: ['7', '9'], fromCount: 5 };
    expect(viewOf(explained({ hidden }), NOW).hidden).toEqual([
      'This user is invisible: everyone else sees it as offline.',
      'This user blocks 7, 9 and 3 more: they see it as offline.',
    ]);
  });

  it('lists transitions with their ages, and since when none is missing', () => {
    const { transitions, transitionsNote } = viewOf(explained(), NOW);
    expect(transitions.map(({ age, cause }) => [age, cause])).toEqual([
      ['1 s ago', 'set'],
      ['1 min 5 s ago', 'came'],
    ]);
    expect(new Set(transitions.map(({ key }) => key)).size).toBe(2);
    expect(transitionsNote).toContain(`Newest 20 since ${formatTime(NOW - 600_000, NOW)}`);
    expect(viewOf(explained({ transitions: [] }), NOW).transitionsNote).toMatch(/^None since/);
  });
});

describe('words of the view', () => {
  it('say a cause without its underscores, and what an end means for each adapter', () => {
    expect(asWords('token_ran_out')).toBe('token ran out');
    const ends = (['tcp-xml', 'ws-json', 'http', 'poll'] as const).map(describeEnd);
    expect(ends[0]).toContain('rejects this user on that connection');
    expect(ends[1]).toContain('4403');
    expect(ends[2]).toBe(ends[3]);
  });
});

describe('what is left', () => {
  it('counts down to a tenth of a second, and is then due', () => {
    expect(formatLeft(100_000, 1000)).toBe('1 min 39 s');
    expect(formatLeft(5400, 1000)).toBe('4.4 s');
    expect(formatLeft(1000, 1000)).toBe('due');
    expect(formatLeft(1000, 2000)).toBe('due');
  });
});
