/** How a terminal and a pipe show friends. */
import { describe, expect, it } from 'vitest';
import { renderChange, renderTable, type Currency } from '../../../../client/cli/terminal/friend-table.ts';
import { widthOf } from '../../../../client/cli/terminal/terminal-text.ts';
import type { Entry } from '../../../../shared/messages/entry.ts';

const NOW = 1_767_225_600_000;

function entry(user: string, values: Partial<Entry> = {}): Entry {
  return { user, status: 'online', code: 1, since: NOW, lastSeen: NOW, devices: ['web'], v: 5, ...values };
}
const offline = { status: 'offline', code: -1, devices: [] } satisfies Partial<Entry>;

describe('the table', () => {
  const live: Currency = { isSynced: true, staleSince: null, status: 'connected' };
  const table = (entries: readonly Entry[], values: Partial<Parameters<typeof renderTable>[0]> = {}) =>
    renderTable({
      title: 'Friends of 42',
      entries,
      view: live,
      nowMs: NOW + 180_000,
      columns: 80,
      rows: 24,
      hasColour: false,
      ...values,
    });

  it('shows symbol, user, status, age, devices and text', () => {
    const seen = entry('9', { ...offline, lastSeen: NOW });
    const never: Entry = { user: 'x', ...offline, devices: [], since: null, lastSeen: null, v: 0 };
    const lines = table([entry('7', { text: 'in a meeting', devices: ['phone', 'web'] }), seen, never]);
    expect(lines.map((line) => line.trimEnd())).toEqual([
      'Friends of 42   1 of 3 online',
      'live',
      '',
      '  USER    STATUS                        DEVICES   TEXT',
      '● 7       online   for 3 min            phone,web in a meeting',
      '○ 9       offline  last seen 3 min ago',
      '○ x       offline  never seen',
    ]);
  });

  it('shows no time if the hub hides when the user was last seen', () => {
    const lines = table([entry('9', { ...offline, lastSeen: null })]);
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
    const lines = table(entries, { columns, rows });
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  });

  it('says how many there is no room for', () => {
    const lines = table(
      Array.from({ length: 50 }, (_, i) => entry(`u${i}`)),
      { rows: 14 },
    );
    expect(lines).toHaveLength(14);
    expect(lines.at(-1)?.trimEnd()).toBe('… and 41 more');
    const shown = lines.filter((line) => line.startsWith('●')).length;
    expect(shown + 41).toBe(50);
  });

  it('lets nobody’s words move the cursor', () => {
    const evil = entry('7', { text: '\u001b[2J\u009b1m', devices: ['a\u202eb'] });
    for (const line of table([evil])) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('has colours if they are wanted', () => {
    expect(table([entry('7')], { hasColour: true }).join('')).toContain('\u001b[32m●\u001b[0m');
    expect(table([entry('7')]).join('')).not.toContain('\u001b');
  });

  it.each<[Currency, string]>([
    [{ isSynced: false, staleSince: null, status: 'reconnecting' }, 'connecting'],
    [
      { ...live, staleSince: new Date(2026, 0, 1, 12, 3, 5).getTime(), status: 'reconnecting' },
      'as of 12:03:05, reconnecting',
    ],
    [
      { ...live, staleSince: new Date(2026, 0, 1, 1, 2, 3).getTime() },
      'as of 01:02:03: some friends may still be reconnecting',
    ],
  ])('says how current it is: %j', (view, words) => {
    expect(table([], { view })[1]?.trimEnd()).toBe(words);
  });
});

describe('the line of a change', () => {
  it('is time, user, status and text with tabs between, and always one line', () => {
    expect(renderChange(entry('7', { status: 'away', text: 'a\tb\nc' }), NOW)).toBe(
      '2026-01-01T00:00:00.000Z\t7\taway\ta\\u{9}b\\u{a}c',
    );
    expect(renderChange({ user: '7', status: 'removed' }, NOW)).toBe('2026-01-01T00:00:00.000Z\t7\tremoved\t');
  });
});
