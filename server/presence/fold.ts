/**
 * The fold: many live sessions of one user into one status, code, list of devices and text (PROTOCOL.md section 1).
 * `invisible` wins and is shown as offline; then busy, then online, then away; among equals the one set last decides
 * the code; the text set last counts, whoever said it. Pure.
 */
import type { SessionStatus, UserStatus } from '../../shared/status.ts';
import { labelsThatFit } from './labels.ts';
import type { Session } from './session.ts';

/** The true fold, as only the user itself and an admin may see it. */
export interface Fold {
  readonly status: SessionStatus | 'offline';
  readonly code: number;
  /** Labels of the live sessions, unique, sorted by code unit. */
  readonly devices: readonly string[];
  /** Those of them that an entry has room for. The same list if it has room for all. */
  readonly shownDevices: readonly string[];
  /** '' where there is none. */
  readonly text: string;
}

/** The part of a fold that the outside sees. */
export interface Shown {
  readonly status: UserStatus;
  readonly code: number;
  readonly devices: readonly string[];
  readonly shownDevices: readonly string[];
  readonly text: string;
}

/** The part of a user that is folded. */
interface Owner {
  readonly id: string;
  readonly firstSession: Session | null;
}

const RANK = { away: 1, online: 2, busy: 3, invisible: 4 } as const satisfies Record<SessionStatus, number>;

/** Folds the sessions of a user; `offline` is the answer without one. */
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

/** The session among these whose status and code are the user's. */
export function deciderOf(first: Session): Session {
  let decider = first;
  for (let session = first.next; session !== null; session = session.next) {
    if (outranks(session, decider)) decider = session;
  }
  return decider;
}

function outranks(session: Session, decider: Session): boolean {
  const rank = RANK[session.status] - RANK[decider.status];
  return rank > 0 || (rank === 0 && session.statusSetNo > decider.statusSetNo);
}

/** What the outside sees of a fold: an invisible user is as one who left. */
export function shownOf(fold: Fold, offline: Shown): Shown {
  return isVisible(fold) ? (fold as Shown) : offline;
}

export function isVisible(fold: Fold): boolean {
  return fold.status !== 'offline' && fold.status !== 'invisible';
}

/** Whether two folds are the same, to the user itself and to others. */
export function sameFold(a: Fold, b: Fold): boolean {
  return sameDevices(a.devices, b.devices) && a.status === b.status && sameShown(a, b);
}

/** Whether two folds are the same to others, who see only the labels that an entry has room for. */
export function sameShown(a: Fold, b: Fold): boolean {
  const isSame = a.status === b.status && a.code === b.code && a.text === b.text;
  return isSame && sameDevices(a.shownDevices, b.shownDevices);
}

/** One list for all users with that one device: most users have one, and there are few labels. */
const singles = new Map<string, readonly string[]>();
const MAX_SINGLES = 256;

function devicesOf(first: Session): readonly string[] {
  if (first.next === null) return singleDevice(first.device);
  const devices: string[] = [];
  for (let session: Session | null = first; session !== null; session = session.next) {
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
