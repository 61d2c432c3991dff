/**
 * The fold: turns the live sessions of one user into one status, code, device list and text (PROTOCOL.md section 1).
 * `invisible` wins and is shown as offline; then busy, online and away, in this order. Among equals, the session set
 * last decides the code. The text set last wins, regardless of the session's status. Pure.
 */
import type { SessionStatus, UserStatus } from '../../shared/status.ts';
import { labelsThatFit } from './sessions/labels.ts';

/** The true fold, visible only to the user and to admins. */
export interface Fold {
  readonly status: SessionStatus | 'offline';
  readonly code: number;
  /** Unique labels of the live sessions, sorted by code unit. */
  readonly devices: readonly string[];
  /** The labels that fit into an entry. The same list if all of them fit. */
  readonly shownDevices: readonly string[];
  /** '' if there is none. */
  readonly text: string;
}

/** The part of a fold that others see. */
export interface Shown {
  readonly status: UserStatus;
  readonly code: number;
  readonly devices: readonly string[];
  readonly shownDevices: readonly string[];
  readonly text: string;
}

/** What the fold needs of a session. */
export interface FoldedSession {
  readonly status: SessionStatus;
  readonly code: number;
  readonly text: string;
  readonly device: string;
  readonly statusSetNo: number;
  readonly textSetNo: number;
  readonly startedAt: number;
  /** The next session of the same user. */
  readonly next: this | null;
}

/** What the fold needs of a user. */
interface Owner {
  readonly id: string;
  readonly firstSession: FoldedSession | null;
}

/** A higher rank wins. */
export const RANK = { away: 1, online: 2, busy: 3, invisible: 4 } as const satisfies Record<SessionStatus, number>;

/** Returns the fold of a user without sessions. */
export function offlineFold(code: number): Shown {
  return Object.freeze({ status: 'offline', code, devices: [], shownDevices: [], text: '' });
}

/** Folds the sessions of a user. Returns a fold of `offline` if there are none. */
export function foldSessions({ id, firstSession: first }: Owner, offline: Shown): Fold {
  if (first === null) return offline;
  let decider = first;
  let speaker = first;
  for (let session = first.next; session !== null; session = session.next) {
    if (outranks(session, decider)) decider = session;
    if (session.textSetNo > speaker.textSetNo) speaker = session;
  }
  const { status, code } = decider;
  const { text } = speaker;
  const devices = devicesOf(first);
  return { status, code, devices, shownDevices: labelsThatFit(first, devices, { user: id, status, code, text }), text };
}

/** Returns the session that decides the status and the code of the user. */
export function deciderOf<S extends FoldedSession>(first: S): S {
  let decider = first;
  for (let session = first.next; session !== null; session = session.next) {
    if (outranks(session, decider)) decider = session;
  }
  return decider;
}

function outranks(session: FoldedSession, decider: FoldedSession): boolean {
  const rank = RANK[session.status] - RANK[decider.status];
  return rank > 0 || (rank === 0 && session.statusSetNo > decider.statusSetNo);
}

/** Returns what others see of a fold. An invisible user looks like one that left. */
export function shownOf(fold: Fold, offline: Shown): Shown {
  return isVisible(fold) ? (fold as Shown) : offline;
}

/** The status that others see. */
export function shownStatusOf({ status }: Fold): UserStatus {
  return status === 'invisible' ? 'offline' : status;
}

export function isVisible(fold: Fold): boolean {
  return fold.status !== 'offline' && fold.status !== 'invisible';
}

/** Whether two folds are the same for the user itself and for others. */
export function sameFold(a: Fold, b: Fold): boolean {
  return sameDevices(a.devices, b.devices) && a.status === b.status && sameShown(a, b);
}

/** Whether two folds are the same for others, who see only the labels that fit into an entry. */
export function sameShown(a: Fold, b: Fold): boolean {
  const isSame = a.status === b.status && a.code === b.code && a.text === b.text;
  return isSame && sameDevices(a.shownDevices, b.shownDevices);
}

/** One shared list per device label. Most users have one device, and there are few different labels. */
const singles = new Map<string, readonly string[]>();
const MAX_SINGLES = 256;

function devicesOf(first: FoldedSession): readonly string[] {
  if (first.next === null) return singleDevice(first.device);
  const devices: string[] = [];
  for (let session: FoldedSession | null = first; session !== null; session = session.next) {
    if (!devices.includes(session.device)) devices.push(session.device);
  }
  return devices.length === 1 ? singleDevice(first.device) : devices.sort();
}

function singleDevice(device: string): readonly string[] {
  let list = singles.get(device);
  if (list === undefined) {
    list = Object.freeze([device]);
    if (singles.size < MAX_SINGLES) singles.set(device, list);
  }
  return list;
}

function sameDevices(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((device, i) => device === b[i]));
}
