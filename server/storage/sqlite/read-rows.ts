/**
 * Parses stored rows into entries and blocks. A row may be corrupt after a disk failure or a manual edit. Such a row
 * must not stop the start, so it is reported by name and skipped. Reads no database.
 */
import { isDevice, isUserId, replaceHalves } from '../../../shared/ids.ts';
import { isFields, parseJson } from '../../../shared/messages/json.ts';
import { sessionStatuses } from '../../../shared/status.ts';
import { isOutOfRange } from './sqlite.ts';
import type { StoredBlock, StoredEntry, StoredSession } from '../port.ts';

export type EntryRow = Omit<StoredEntry, 'devices' | 'sessions'> & {
  readonly devices: string;
  readonly sessions: string | null;
};

/** Receives the name of a skipped row, such as `the entry of user "42"`. */
export type OnCorrupt = (row: string) => void;

/** No version can be this far above the clock of a run, because changes move it ahead only by milliseconds. */
const AHEAD_MS = 24 * 60 * 60 * 1000;
/** Longer names are cut, because a corrupt id may have any length. */
const MAX_NAMED_CHARS = 128;
/** An escaped half of a surrogate pair in JSON. Only texts that match are checked further. */
const ESCAPED_HALF = /\\ud[89a-f]/i;

/**
 * Returns the entry with its sessions; undefined if a column holds a value that no hub has written. Older versions of
 * the hub accepted halves of surrogate pairs. These are replaced, and a visible entry then gets the version
 * `clockFloor`, because what it shows has changed.
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
 * Reads all rows of a query. SQLite's driver throws for the whole query if one number is beyond 2^53, so each row is
 * then read separately.
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

/**
 * Whether a version is plausible. One from the far future would move the hub clock there, in this run and all later
 * ones.
 */
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
