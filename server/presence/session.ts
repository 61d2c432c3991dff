/**
 * A session: one claim that a user is there, with the lease that it lives by. A record of one shape, written by
 * `Presence` alone; adapters hold on to it and read `phase`. Its last sign of life is all that a heartbeat writes.
 */
import { adapterNames, type AdapterName } from '../../shared/explain.ts';
import type { SessionStatus } from '../../shared/status.ts';
import { NOT_SCHEDULED, type Timed } from '../lib/timing-wheel.ts';
import type { User } from './user.ts';

/** The adapters, by the names that metrics and `explain` use. */
export const adapters = adapterNames;
export type { AdapterName };

/** Who feeds a session, and wants to know when its lease ran out. */
export interface SessionOwner {
  /** The lease ran out: the session is over. Not called for an end that the owner itself brought about. */
  lapsed(session: Session): void;
  /** An admin ended the session: it is over, and is not to come back by itself from where it came. */
  kicked?(session: Session): void;
  /** Where its messages come from, if an address that they name may be another one. */
  readonly peer?: string;
  /** Milliseconds, counted up: how long this source was not heard for the hub's own sake. Leases stand still meanwhile. */
  readonly pausedMs?: number;
  /** What `pausedMs` was when all that had been sent was heard at last: no lease stands still for pauses before that. */
  readonly madeUpMs?: number;
}

/** What an adapter claims when a user appears. */
export interface NewSession {
  readonly user: string;
  readonly device: string;
  readonly adapter: AdapterName;
  readonly status: SessionStatus;
  /** The legacy integer that stands for this status. */
  readonly code: number;
  /** Undefined: this session says no text ('' says that there is none). */
  readonly text: string | undefined;
  readonly leaseMs: number;
  /** Where the user says to be (`user_ip:user_port`), or the peer's; for an admin's eyes. */
  readonly address: string;
  readonly owner: SessionOwner;
}

/** What a later message may give another value; what is undefined stands. */
export interface SessionUpdate {
  readonly status?: SessionStatus | undefined;
  readonly code?: number | undefined;
  readonly text?: string | undefined;
  readonly device?: string | undefined;
  readonly leaseMs?: number | undefined;
}

/**
 * `grace`: ended uncleanly, still counted until `waitEndsAt`. `restored`: live when the last run of the hub ended, and
 * counted until its user and device are back, or until `waitEndsAt`. `ended`: out of the fold, never comes back.
 */
export type SessionPhase = 'live' | 'grace' | 'restored' | 'ended';

export class Session implements Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  phase: SessionPhase = 'live';
  /** The next session of the same user. */
  next: Session | null = null;
  readonly user: User;
  /** Counts up over all sessions of a run: what its id is made of. */
  readonly no: number;
  readonly adapter: AdapterName;
  readonly owner: SessionOwner;
  /** '' where it is not known: a restart forgot it. */
  address: string;
  device: string;
  status: SessionStatus;
  code: number;
  text: string;
  /** Counts up over all sessions: which status, and which text, was set last. 0: never set. */
  statusSetNo: number;
  textSetNo: number;
  /** Monotonic milliseconds. */
  lastSignAt: number;
  /** How long its source had been paused by then. */
  pausedMsThen: number;
  leaseMs: number;
  /** How long a session that is not live waits for its user and device to come back; once its lease ran out, when it did. */
  waitEndsAt = 0;
  /** Wall milliseconds; 0 where it is not known: a restart forgot it. */
  connectedAt: number;
  /** When the session began whose place it took, or that a restart restored. Null for most: it costs them no number. */
  earlierStartAt: number | null = null;

  constructor(user: User, claim: NewSession, no: number, setNo: number, monoMs: number, wallMs: number) {
    this.user = user;
    this.no = no;
    this.adapter = claim.adapter;
    this.owner = claim.owner;
    this.address = claim.address;
    this.device = claim.device;
    this.status = claim.status;
    this.code = claim.code;
    this.text = claim.text ?? '';
    this.statusSetNo = setNo;
    this.textSetNo = claim.text === undefined ? 0 : setNo;
    this.lastSignAt = monoMs;
    this.pausedMsThen = claim.owner.pausedMs ?? 0;
    this.leaseMs = claim.leaseMs;
    this.connectedAt = wallMs;
  }

  /** Orders the labels of its user. Neither a restart nor a reload changes it. Wall milliseconds. */
  get startedAt(): number {
    return this.earlierStartAt ?? this.connectedAt;
  }

  /** When this session ends if nothing more is heard, monotonic milliseconds. */
  get endsAt(): number {
    if (this.phase !== 'live') return this.waitEndsAt;
    const { pausedMs = 0, madeUpMs = 0 } = this.owner;
    return this.lastSignAt + this.leaseMs + pausedMs - Math.max(this.pausedMsThen, madeUpMs);
  }

  /** A sign of life. */
  signed(monoMs: number): void {
    this.lastSignAt = monoMs;
    this.pausedMsThen = this.owner.pausedMs ?? 0;
  }
}
