/**
 * Renders friends as a table that fits a terminal, and as single lines for a pipe. Pure: no stream, no clock. Every
 * text from a hub passes through `harmless` or `isolated` here.
 */
import type { ConnectionStatus, Entry } from '../../sdk/index.ts';
import { formatAgo, formatDuration, formatTime } from '../../ui/ago.ts';
import { fit, harmless, isolated, widthOf } from './terminal-text.ts';

/** How current the entries are: a view of the SDK, or what it shows. */
export interface Currency {
  readonly isSynced: boolean;
  readonly staleSince: number | null;
  readonly status: ConnectionStatus;
}

interface TableOptions {
  readonly title: string;
  /** In the order in which they are shown. */
  readonly entries: readonly Entry[];
  readonly view: Currency;
  readonly nowMs: number;
  readonly columns: number;
  readonly rows: number;
  readonly hasColour: boolean;
}

const look = {
  online: { symbol: '●', colour: 32 },
  busy: { symbol: '⊖', colour: 31 },
  away: { symbol: '◐', colour: 33 },
  offline: { symbol: '○', colour: 90 },
} as const satisfies Record<Entry['status'], { symbol: string; colour: number }>;

const STATUS_WIDTH = 8;
const WHEN_WIDTH = 20;
const MAX_USER_WIDTH = 28;
const MAX_DEVICES_WIDTH = 22;
const GREY = 90;

/** Returns at most `rows` lines, none wider than `columns`. */
export function renderTable(options: TableOptions): readonly string[] {
  const { title, entries, view, columns, hasColour } = options;
  const paint: Paint = (colour, text) => (hasColour ? `\u001b[${colour}m${text}\u001b[0m` : text);
  const count = `${entries.filter(({ status }) => status !== 'offline').length} of ${entries.length} online`;
  const head = [
    fit(`${title}   ${count}`, columns),
    paint(isLive(view) ? look.online.colour : look.away.colour, fit(describeView(view, options.nowMs), columns)),
  ];
  const room = Math.max(1, options.rows - head.length - 2);
  const shown = entries.length <= room ? entries : entries.slice(0, Math.max(0, room - 1));
  const rest = entries.length - shown.length;
  const widths = columnWidths(shown, columns);
  const body = shown.map((entry) => paintRow(entry, options, widths, paint));
  const names = ['USER', 'STATUS', '', 'DEVICES', 'TEXT'];
  const titles = names.map((name, i) => fit(name, widths[i] ?? 0)).join(' ');
  return [
    ...head,
    '',
    entries.length === 0
      ? fit(view.isSynced ? 'no friends yet' : '', columns)
      : paint(GREY, fit(`  ${titles}`, columns)),
    ...body,
    ...(rest > 0 ? [paint(GREY, fit(`… and ${rest} more`, columns))] : []),
  ].slice(0, options.rows);
}

/**
 * Returns `time, user, status, text` separated by tabs, for `cut` and `awk`. The text needs no isolation, because
 * nothing follows it on the line.
 */
export function renderChange(
  { user, status, text = '' }: Pick<Entry, 'user' | 'text'> & { readonly status: Entry['status'] | 'removed' },
  nowMs: number,
): string {
  return [new Date(nowMs).toISOString(), harmless(user), status, harmless(text)].join('\t');
}

function isLive({ isSynced, staleSince }: Currency): boolean {
  return isSynced && staleSince === null;
}

function describeView({ isSynced, staleSince, status }: Currency, nowMs: number): string {
  if (!isSynced) return 'connecting';
  if (staleSince === null) return 'live';
  const asOf = `as of ${formatTime(staleSince, nowMs)}`;
  return status === 'connected' ? `${asOf}: some friends may still be reconnecting` : `${asOf}, reconnecting`;
}

/** Returns `for 3 min` or `last seen 3 min ago`. `nowMs` is by the hub's clock, like the instants. */
function describeWhen({ status, since, lastSeen, v }: Entry, nowMs: number): string {
  if (status !== 'offline') return since === null ? '' : `for ${formatDuration(nowMs - since, 1)}`;
  if (v === 0) return 'never seen';
  // A hub may hide it.
  return lastSeen === null ? '' : `last seen ${formatAgo(lastSeen, nowMs, 1)}`;
}

type Paint = (colour: number, text: string) => string;
type Widths = readonly [user: number, status: number, when: number, devices: number, text: number];

function columnWidths(entries: readonly Entry[], columns: number): Widths {
  const widest = (words: readonly string[], most: number) => Math.min(most, Math.max(7, ...words.map(widthOf)));
  const user = widest(
    entries.map((entry) => entry.user),
    MAX_USER_WIDTH,
  );
  const devices = widest(entries.map(describeDevices), MAX_DEVICES_WIDTH);
  const text = columns - 2 - user - STATUS_WIDTH - WHEN_WIDTH - devices - 4;
  return [user, STATUS_WIDTH, WHEN_WIDTH, devices, Math.max(0, text)];
}

function paintRow(entry: Entry, { nowMs, columns }: TableOptions, widths: Widths, paint: Paint): string {
  const { symbol, colour } = look[entry.status];
  const cells = [
    harmless(entry.user),
    entry.status,
    describeWhen(entry, nowMs),
    describeDevices(entry),
    isolated(entry.text ?? ''),
  ];
  const row = cells.map((cell, i) => fit(cell, widths[i] ?? 0)).join(' ');
  // Painted after padding, because color codes have no width.
  const line = fit(`${symbol} ${row}`, columns);
  return entry.status === 'offline' ? paint(colour, line) : paint(colour, line.slice(0, 1)) + line.slice(1);
}

function describeDevices({ devices }: Entry): string {
  return devices.map(isolated).join(',');
}
