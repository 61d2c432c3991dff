/**
 * From stored rows to entries and blocks. A row may be corrupt: the disk failed, or somebody edited the file. Such a row
 * must not stop the start, so it is reported by name and skipped. Reads no database by itself.
 */
import { isDevice, isUserId, replaceHalves } from '../../shared/ids.ts';
import { isFields, parseJson } from '../../shared/json.ts';
import { sessionStatuses } from '../../shared/status.ts';
import { isOutOfRange } from '../lib/sqlite.ts';
import type { StoredBlock, StoredEntry, StoredSession } from './port.ts';

export type EntryRow = Omit<StoredEntry, 'devices' | 'sessions'> & {
  readonly devices: string;
  readonly sessions: string | null;
};

/** Names a row that is skipped, such as `the entry of user "42"`. */
export type OnCorrupt = (row: string) => void;

/** No version can be this far above the clock of a run: changes take it ahead by milliseconds. */
const AHEAD_MS = 24 * 60 * 60 * 1000;
/** Longer names are cut, because a corrupt id may have any length. */
const MAX_NAMED_CHARS = 128;
/** How JSON holds half of a surrogate pair. Only such a text is looked at more closely. */
const ESCAPED_HALF = /\\ud[89a-f]/i;

/**
 * The entry with its sessions; undefined if a column holds what no hub has written. Older versions of the hub took halves
 * of surrogate pairs: they are replaced, and then a visible entry gets the version `clockFloor`, because it shows
 * something else than before.
 */
export function readEntry(row: EntryRow, clockFloor: number): StoredEntry | undefined {
  const devices = parseJson(row.devices);
  const stored = row.sessions === null ? [] : parseJson(row.sessions);
  const hasHalves = row.sessions !== null && ESCAPED_HALF.test(row.sessions);
  const sessions = hasHalves && Array.isArray(stored) ? stored.map(withoutHalves) : stored;
  if (!isUserId(row.user) || !isVersion(row.v, clockFloor)) return undefined;
  if (!Array.isArray(devices) || !devices.every((label) => typeof label === 'string')) return undefined;
  if (!Array.isArray(sessions) || !sessions.every(isSession)) return undefined;
  // Older versions of the hub did not store `startedAt`.
  const isShownAnew = sessions !== stored && row.status !== 'offline' && JSON.stringify(sessions) !== row.sessions;
  return {
    ...row,
    v: isShownAnew ? Math.max(row.v, clockFloor) : row.v,
    devices,
    sessions: sessions.map((session) => ({
      ...session,
      startedAt: (session as Partial<StoredSession>).startedAt ?? 0,
    })),
  };
}

export function isSoundBlock({ user, viewer, v }: StoredBlock, clockFloor: number): boolean {
  return isUserId(user) && isUserId(viewer) && isVersion(v, clockFloor);
}

export function nameEntry(user: string): string {
  return `the entry of user ${quote(user)}`;
}

export function nameBlock(user: string, viewer: string): string {
  return `the block of user ${quote(user)} against ${quote(viewer)}`;
}

/**
 * Reads all rows of a query. SQLite's driver throws for the whole query if one number is beyond 2^53, so then each row is
 * read by itself.
 */
export function readAll<Row, Key>(
  all: () => Row[],
  keys: () => Key[],
  one: (key: Key) => Row | undefined,
  onCorrupt: (key: Key) => void,
): Row[] {
  try {
    return all();
  } catch (error) {
    if (!isOutOfRange(error)) throw error;
  }
  return keys().flatMap((key) => {
    try {
      const row = one(key);
      return row === undefined ? [] : [row];
    } catch (error) {
      if (!isOutOfRange(error)) throw error;
      onCorrupt(key);
      return [];
    }
  });
}

/** A version from the far future would lift the hub clock there, and keep it there in every later run. */
export function isVersion(v: number, clockFloor: number): boolean {
  return v >= 0 && v <= clockFloor + AHEAD_MS;
}

function withoutHalves(session: unknown): unknown {
  if (!isFields(session)) return session;
  const { device, text } = session;
  return {
    ...session,
    ...(typeof device === 'string' ? { device: replaceHalves(device) } : {}),
    ...(typeof text === 'string' ? { text: replaceHalves(text) } : {}),
  };
}

function isSession(value: unknown): value is StoredSession {
  if (!isFields(value)) return false;
  const { adapter, device, status, code, text, statusSetNo, textSetNo, lastSignAt, leaseEndsAt } = value;
  return (
    typeof adapter === 'string' &&
    typeof device === 'string' &&
    isDevice(device) &&
    (sessionStatuses as readonly unknown[]).includes(status) &&
    typeof text === 'string' &&
    [code, statusSetNo, textSetNo].every(Number.isSafeInteger) &&
    [lastSignAt, leaseEndsAt].every(Number.isFinite)
  );
}

function quote(id: string): string {
  return JSON.stringify(id.length > MAX_NAMED_CHARS ? `${id.slice(0, MAX_NAMED_CHARS)}…` : id);
}
