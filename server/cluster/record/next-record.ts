/**
 * Computes the next record of a user from the present one and this node's sessions. All rules about the sessions of several
 * nodes are here. Pure. Does not know when and how the record is written.
 */
import { foldSessions, sameShown, shownOf, isVisible, type FoldedSession, type Shown } from '../../presence/fold.ts';
import type { UserStatus } from '../../../shared/status.ts';
import type { Frozen } from '../../presence/blocks.ts';
import { continuedBy, keyOf, newestByDevice, ONE_PER_DEVICE } from './one-per-device.ts';
import {
  encodeBody,
  encodeEntry,
  inheritedOrigin,
  VERSION_OF_OPERATION,
  type NewEntry,
  type Parts,
  type SharedSession,
  type UserRecord,
} from './record.ts';

/** A session of this node, with ages instead of instants. */
export interface OwnSession extends Omit<SharedSession, 'S' | 'X' | 'b'> {
  /** How long ago status and text were set, in milliseconds; null: never. */
  readonly statusAgeMs: number;
  readonly textAgeMs: number | null;
  readonly startAgeMs: number;
}

/** What this node knows about a user. */
export interface Own {
  readonly inc: string;
  /** Earlier incarnations of this node. Their sessions that continue are among `sessions`. */
  readonly former: readonly string[];
  readonly sessions: readonly OwnSession[];
  /** Age of the last sign of life while the user was visible; null: none here. */
  readonly signAgeMs: number | null;
  /** Age of the oldest change that is not in the record. */
  readonly changeAgeMs: number;
  /** Devices that said bye to this node in the last seconds. */
  readonly goodbyes: readonly { readonly device: string; readonly ageMs: number }[];
  /** The cause of the last transition and its session, encoded (bridge/origins.ts). */
  readonly origin: string;
  /** Blocks that are being set or lifted here, by viewer. */
  readonly blocks: ReadonlyMap<string, boolean>;
}

/** Which incarnations are alive. */
export interface Liveness {
  /** Whether it was declared dead or has left. */
  hasEnded(inc: string): boolean;
  /** How long ago it renewed last. */
  silentMs(inc: string): number;
  /** Whether the grace of a session of an incarnation that left or died is over. */
  isOver(inc: string, session: SharedSession, user: string): boolean;
}

export interface Context {
  readonly user: string;
  readonly offline: Shown;
  /** The bucket's clock now, as far as this node can tell. */
  readonly clock: number;
  /** The largest "set last" stamp that this node had seen that long ago. Values set later get larger stamps. */
  readonly latestBefore: (ageMs: number) => number;
  /** The sessions that this incarnation wrote last. Their stamps remain valid even if the engine lost them. */
  readonly written: readonly SharedSession[];
  /** The sessions of the record that the engine lost. What they had set still counts as set then. */
  readonly lostParts: Parts;
  readonly liveness: Liveness;
  /** Whether sessions may not be removed now, because other nodes may not have written users yet that moved to them. */
  readonly keepsAll: boolean;
  /** Whether the engine lost the record. Then it is written with a new version even if nothing changes. */
  readonly isLost: boolean;
}

export interface Patch {
  readonly body: string;
  readonly pushed: string;
  readonly isShown: boolean;
  /** The new `n` must be larger, so that all stamps are below it. */
  readonly floor: number;
  readonly joins: readonly string[];
  readonly leaves: readonly string[];
  /** The shown status before and after. */
  readonly from: UserStatus;
  readonly to: UserStatus;
  readonly origin: string;
}

/** Returns undefined if the record does not change. */
export function nextRecord(record: UserRecord | undefined, own: Own, context: Context): Patch | undefined {
  const before: Partial<Parts> & Parts = record?.parts ?? {};
  const parts = nextParts(before, own, context);
  const { hides, reveals } = editsOf(record, own);
  const mustWrite = (context.isLost && !context.keepsAll) || hides.length + reveals.length > 0;
  if (!mustWrite && JSON.stringify(parts) === JSON.stringify(before)) return undefined;
  const fold = foldSessions({ id: context.user, firstSession: linked(parts) }, context.offline);
  const shown = shownOf(fold, context.offline);
  const was = record?.entry;
  const shownBefore = was === undefined ? context.offline : { ...was, shownDevices: was.devices };
  // A viewer that is no longer blocked must get a larger version than all that it has seen.
  const isShown = context.isLost || (reveals.length > 0 && (record?.v ?? 0) > 0) || !sameShown(shownBefore, shown);
  const wasVisible = isVisible(shownBefore);
  const isSeen = isShown && (wasVisible || isVisible(shown));
  const entry: NewEntry = {
    status: shown.status,
    code: shown.code,
    devices: shown.shownDevices,
    text: shown.text,
    since: shown.status === shownBefore.status ? (was?.since ?? null) : -age(own.changeAgeMs),
    lastSeen: was?.lastSeen ?? null,
    sign: isSeen && own.signAgeMs !== null ? -age(own.signAgeMs) : null,
    origin: ownOrigin(before, own, context) || originOfEnd(before, parts, context) || inheritedOrigin(record),
    hidden: nextHidden(record, hides, reveals, wasVisible || isVisible(shown)),
  };
  const entryText = encodeEntry(entry);
  const body = encodeBody(entryText, parts);
  // Only nodes with sessions of the user need those of others.
  const isAlone = [...Object.keys(before), ...Object.keys(parts)].every((inc) => inc === own.inc);
  return {
    body,
    pushed: isAlone ? entryText : body,
    isShown,
    floor: latestOf(parts),
    joins: Object.keys(parts).filter((inc) => before[inc] === undefined),
    leaves: Object.keys(before).filter((inc) => parts[inc] === undefined),
    from: shownBefore.status,
    to: shown.status,
    origin: entry.origin,
  };
}

/** A session that continues one of another node did not come: its values are set. */
function ownOrigin(before: Parts, { origin, sessions, inc }: Own, { written }: Context): string {
  const [cause, adapter, ...rest] = origin.split(' ');
  if (cause !== 'came') return origin;
  const known = [...(before[inc] ?? []), ...written];
  const continues = sessions.some(
    (one) => one.a === adapter && !known.some(({ k }) => k === one.k) && continuedBy(one, before, inc) !== undefined,
  );
  return continues ? ['returned', adapter, ...rest].join(' ') : origin;
}

/** The origin if sessions of an incarnation that left or died end. Their ids are unknown. */
function originOfEnd(before: Parts, parts: Parts, { liveness }: Context): string {
  const ended = Object.keys(before).find((inc) => parts[inc] === undefined && liveness.hasEnded(inc));
  return ended === undefined ? '' : `node_lost ${before[ended]?.[0]?.a ?? 'ws-json'} ${ended}`;
}

/** The blocks to add to the record and to remove from it. */
function editsOf(record: UserRecord | undefined, { blocks }: Own): { hides: string[]; reveals: string[] } {
  const edits: { hides: string[]; reveals: string[] } = { hides: [], reveals: [] };
  for (const [viewer, isBlocked] of blocks) {
    if ((record?.hidden.has(viewer) ?? false) !== isBlocked) (isBlocked ? edits.hides : edits.reveals).push(viewer);
  }
  return edits;
}

function nextHidden(
  record: UserRecord | undefined,
  hides: readonly string[],
  reveals: readonly string[],
  /** Whether the user is visible before this operation, or would be after it. */
  isOrWasVisible: boolean,
): ReadonlyMap<string, Frozen> {
  const hidden = new Map(record?.hidden);
  const { since = null, lastSeen = null } = record?.entry ?? {};
  // If the user is already shown offline, the viewer must not notice the block.
  const frozen = isOrWasVisible
    ? { since: 0, lastSeen: 0, v: VERSION_OF_OPERATION }
    : { since, lastSeen, v: record?.v ?? 0 };
  for (const viewer of hides) hidden.set(viewer, frozen);
  for (const viewer of reveals) hidden.delete(viewer);
  return hidden;
}

/** The sessions of all nodes. Those of this node are the present ones, not those in the record. */
function nextParts(before: Parts, own: Own, context: Context): Parts {
  const { liveness } = context;
  const parts: Record<string, readonly SharedSession[]> = { ...before, [own.inc]: ownPart(before, own, context) };
  const newest = newestByDevice(parts, liveness);
  // A bye also ends such sessions on other nodes if this node had received them by then. If it had received nothing about
  // the user, the clock decides.
  for (const { device, ageMs } of context.keepsAll ? [] : own.goodbyes) {
    const knownUntil = context.latestBefore(ageMs) / 64 || context.clock - ageMs;
    for (const key of ONE_PER_DEVICE.map((a) => keyOf({ a, d: device }))) {
      newest.set(key, Math.max(knownUntil, newest.get(key) ?? 0));
    }
  }
  const next: [string, readonly SharedSession[]][] = [];
  // Bodies are compared as text, so the order of the incarnations is fixed.
  for (const inc of Object.keys(parts).sort()) {
    if (own.former.includes(inc) && !context.keepsAll) continue;
    const sessions = parts[inc] ?? [];
    const left =
      inc !== own.inc && liveness.hasEnded(inc)
        ? withoutTakenOver(inc, sessions, own, context)
        : sessions.filter((session) => session.b >= (newest.get(keyOf(session)) ?? 0));
    if (left.length > 0) next.push([inc, left]);
  }
  return Object.fromEntries(next);
}

/** The sessions of an incarnation that left or died, without those that ended or returned to this node. */
function withoutTakenOver(
  inc: string,
  sessions: readonly SharedSession[],
  own: Own,
  { liveness, keepsAll, user }: Context,
): readonly SharedSession[] {
  const isOut = ({ d }: SharedSession): boolean => own.goodbyes.some(({ device }) => device === d);
  const left = sessions.filter((session) => keepsAll || !(isOut(session) || liveness.isOver(inc, session, user)));
  for (const session of own.sessions) {
    if (session.startAgeMs > liveness.silentMs(inc)) continue; // it began before the other node fell silent
    const alike = left.findIndex(({ d, s }) => d === session.d && s === session.s);
    const i = alike >= 0 ? alike : left.findIndex(({ d }) => d === session.d);
    if (i >= 0) left.splice(i, 1);
  }
  return left;
}

function ownPart(before: Parts, own: Own, context: Context): SharedSession[] {
  const known = before[own.inc] ?? [];
  const stamps = stamper(context);
  const sessions = [...own.sessions].sort((a, b) => Math.min(a.i, a.j) - Math.min(b.i, b.j));
  const others = { ...context.lostParts, ...before };
  const part = sessions.map((session) => {
    const { statusAgeMs, textAgeMs, startAgeMs, ...rest } = session;
    const old = [...known, ...context.written].find(({ k }) => k === session.k);
    // What another node had set already counts as set then.
    const { S: setS, X: setX } =
      old === undefined ? inheritedStamps(continuedBy(session, others, own.inc), session) : {};
    const S = old?.i === session.i ? old.S : (setS ?? stamps(statusAgeMs, session.i));
    const X = textAgeMs === null ? 0 : old?.j === session.j ? old.X : (setX ?? stamps(textAgeMs, session.j));
    const b = old?.b ?? startOf(startAgeMs, context);
    return { ...rest, S, X, b };
  });
  // An invisible session that ended is not kept: it would hide a user that may be visible on another node by now.
  const ended = known.filter(({ k, s }) => s !== 'invisible' && !own.sessions.some((session) => session.k === k));
  return [...part, ...(context.keepsAll ? ended : [])].sort((a, b) => (a.k < b.k ? -1 : 1)).map(inFixedOrder);
}

/** The "set last" stamps of those values of a session that the one which it continues had, too. */
function inheritedStamps(
  continued: SharedSession | undefined,
  { s, c, x }: OwnSession,
): { readonly S?: number; readonly X?: number } {
  if (continued === undefined) return {};
  return {
    ...(continued.s === s && continued.c === c && { S: continued.S }),
    ...(continued.x === x && { X: continued.X }),
  };
}

/** When a session began, on the bucket's clock. Later than all stamps that this node knew at that time. */
export function startOf(ageMs: number, { clock, latestBefore }: Pick<Context, 'clock' | 'latestBefore'>): number {
  return Math.max(Math.round(clock - ageMs), Math.ceil((latestBefore(ageMs) + 1) / 64));
}

/** Turns an age into a "set last" stamp that is larger than all stamps that this node knew at that time. */
function stamper(context: Context): (ageMs: number, setNo: number) => number {
  const given = new Map<number, number>();
  let latest = 0;
  return (ageMs, setNo) => {
    const known = given.get(setNo); // status and text were set together
    if (known !== undefined) return known;
    const stamp = Math.round((context.clock - ageMs) * 64);
    latest = Math.max(stamp, latest + 1, context.latestBefore(ageMs) + 1);
    given.set(setNo, latest);
    return latest;
  };
}

/** The latest start or "set last" in whole milliseconds of the bucket's clock. */
function latestOf(parts: Parts): number {
  const stamps = Object.values(parts).flatMap((part) => part.flatMap(({ S, X, b }) => [S / 64, X / 64, b]));
  return Math.floor(stamps.reduce((latest, stamp) => Math.max(latest, stamp), 0));
}

/** Rounds to whole milliseconds. */
function age(ms: number): number {
  return Math.max(0, Math.round(ms));
}

/** Bodies are compared as text. */
function inFixedOrder({ k, a, d, s, c, x, S, X, i, j, b, l }: SharedSession): SharedSession {
  return { k, a, d, s, c, x, S, X, i, j, b, l };
}

/** All sessions of a user as the linked list that the fold takes. */
export function linked(parts: Parts): FoldedSession | null {
  let first: FoldedSession | null = null;
  for (const part of Object.values(parts)) {
    for (const { d, s, c, x, S, X, b } of part) {
      first = { device: d, status: s, code: c, text: x, statusSetNo: S, textSetNo: X, startedAt: b, next: first };
    }
  }
  return first;
}
