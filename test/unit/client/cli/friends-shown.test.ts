/** What a watcher knows of friends out of the hub's messages, and how a terminal and a pipe show it. */
import { describe, expect, it } from 'vitest';
import { FriendList } from '../../../../client/cli/hub/friend-list.ts';
import { renderChange, renderTable, type LinkState } from '../../../../client/cli/terminal/friend-table.ts';
import { widthOf } from '../../../../client/cli/terminal/terminal-text.ts';
import type { Entry } from '../../../../shared/messages/entry.ts';

const NOW = 1_767_225_600_000;

function entry(user: string, values: Partial<Entry> = {}): Entry {
  return { user, status: 'online', code: 1, since: NOW, lastSeen: NOW, devices: ['web'], v: 5, ...values };
}
const offline = { status: 'offline', code: -1, devices: [] } satisfies Partial<Entry>;

function listOf(...entries: Entry[]): FriendList {
  const list = new FriendList();
  list.apply({ type: 'snapshot', friendsOf: '42', at: 10, entries });
  return list;
}
const usersOf = (list: FriendList) => list.sorted().map(({ user }) => user);

describe('the list', () => {
  it('sorts who is here first, and ids as people do', () => {
    const list = listOf(
      entry('z', offline),
      entry('b.12'),
      entry('a', { status: 'away' }),
      entry('b.7'),
      entry('c', { status: 'busy' }),
    );
    expect(usersOf(list)).toEqual(['b.7', 'b.12', 'c', 'a', 'z']);
    expect([list.countHere, list.size]).toEqual([4, 5]);
  });

  it('says of each message what it changed', () => {
    const list = listOf(entry('7'));
    const away = entry('7', { status: 'away', v: 6 });
    expect(list.apply({ type: 'presence', entries: [away] })).toEqual([{ kind: 'entry', entry: away }]);
    expect(list.apply({ type: 'presence', entries: [entry('7', { v: 6 })] })).toEqual([]);
    const added = { type: 'friend', friendsOf: '42', op: 'add', entry: entry('9') } as const;
    expect(list.apply(added)).toHaveLength(1);
    expect(list.apply({ type: 'friend', friendsOf: '42', op: 'remove', user: '9' })).toEqual([
      { kind: 'removed', user: '9' },
    ]);
    expect(usersOf(list)).toEqual(['7']);
  });

  it('takes a full snapshot as it is, older versions too, and tells only what differs', () => {
    const list = listOf(entry('7', { v: 9 }), entry('8'));
    const changes = list.apply({
      type: 'snapshot',
      friendsOf: '42',
      at: 3,
      entries: [entry('7', { v: 2 }), entry('9', offline)],
    });
    expect(changes.map((change) => (change.kind === 'entry' ? change.entry.user : `-${change.user}`))).toEqual([
      '-8',
      '9',
    ]);
    expect(list.at).toBe(3);
  });

  it('keeps what a resumed snapshot does not name', () => {
    const list = listOf(entry('7'), entry('8'));
    list.apply({
      type: 'snapshot',
      friendsOf: '42',
      at: 20,
      since: 10,
      entries: [entry('9', { v: 15 })],
      removed: ['8'],
    });
    expect(usersOf(list)).toEqual(['7', '9']);
  });

  it('resumes from the last at', () => {
    const list = listOf();
    expect(list.at).toBe(10);
    list.apply({ type: 'presence', entries: [], at: 12 });
    expect(list.at).toBe(12);
    list.apply({ type: 'presence', entries: [] });
    expect(list.at).toBe(12);
  });
});

describe('the table', () => {
  const table = (friends: FriendList, values: Partial<Parameters<typeof renderTable>[0]> = {}) =>
    renderTable({
      title: 'Friends of 42',
      friends,
      link: { kind: 'live' },
      nowMs: NOW + 180_000,
      columns: 80,
      rows: 24,
      hasColour: false,
      ...values,
    });

  it('shows symbol, user, status, age, devices and text', () => {
    const seen = entry('9', { ...offline, lastSeen: NOW });
    const never: Entry = { user: 'x', ...offline, devices: [], since: null, lastSeen: null, v: 0 };
    const lines = table(listOf(entry('7', { text: 'in a meeting', devices: ['phone', 'web'] }), seen, never));
    expect(lines.map((line) => line.trimEnd())).toEqual([
      'Friends of 42   1 of 3 online',
      'live',
      '',
      '  USER    STATUS                      DEVICES   TEXT',
      '● 7       online   for 3 m            phone,web in a meeting',
      '○ 9       offline  last seen 3 m ago',
      '○ x       offline  never seen',
    ]);
  });

  it('says nothing of when to whom the hub keeps it to itself', () => {
    const lines = table(listOf(entry('9', { ...offline, lastSeen: null })));
    expect(lines.at(-1)?.trimEnd()).toBe('○ 9       offline');
  });

  it.each([
    [80, 24],
    [40, 10],
    [12, 6],
    [200, 4],
  ])('is never wider or higher than a window of %d by %d', (columns, rows) => {
    const entries = Array.from({ length: 50 }, (_, i) =>
      entry(`${'u'.repeat(60)}${i}`, { text: '吃饭去了'.repeat(30) }),
    );
    const lines = table(listOf(...entries), { columns, rows });
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  });

  it('says how many there is no room for', () => {
    const lines = table(listOf(...Array.from({ length: 50 }, (_, i) => entry(`u${i}`))), { rows: 14 });
    expect(lines).toHaveLength(14);
    expect(lines.at(-1)?.trimEnd()).toBe('… and 41 more');
    const shown = lines.filter((line) => line.startsWith('●')).length;
    expect(shown + 41).toBe(50);
  });

  it('lets nobody’s words move the cursor', () => {
    const evil = entry('7', { text: '\u001b[2J\u009b1m', devices: ['a\u202eb'] });
    for (const line of table(listOf(evil))) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('has colours where they are wanted', () => {
    expect(table(listOf(entry('7')), { hasColour: true }).join('')).toContain('\u001b[32m●\u001b[0m');
    expect(table(listOf(entry('7'))).join('')).not.toContain('\u001b');
  });

  it.each<[LinkState, string]>([
    [{ kind: 'connecting' }, 'connecting'],
    [{ kind: 'lost', asOfMs: new Date(2026, 0, 1, 12, 3, 5).getTime() }, 'as of 12:03:05, reconnecting'],
    [{ kind: 'stale', sinceMs: new Date(2026, 0, 1, 1, 2, 3).getTime() }, 'as of 01:02:03: the hub is not sure yet'],
  ])('says how the connection stands: %j', (link, words) => {
    expect(table(listOf(), { link })[1]?.trimEnd()).toBe(words);
  });
});

describe('the line of a change', () => {
  it('is time, user, status and text with tabs between, and always one line', () => {
    const change = { kind: 'entry', entry: entry('7', { status: 'away', text: 'a\tb\nc' }) } as const;
    expect(renderChange(change, NOW)).toBe('2026-01-01T00:00:00.000Z\t7\taway\ta\\u{9}b\\u{a}c');
    expect(renderChange({ kind: 'removed', user: '7' }, NOW)).toBe('2026-01-01T00:00:00.000Z\t7\tremoved\t');
  });
});
