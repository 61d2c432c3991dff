/**
 * A session: one claim that a user is present, with its lease. All sessions have one record shape. Only `Presence` may
 * write it; adapters keep a reference and read `phase`. A heartbeat writes only the last sign of life.
 */
import { adapterNames, type AdapterName } from '../../../shared/messages/explain.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import { NOT_SCHEDULED, type Timed } from '../../lib/time/timing-wheel.ts';
import type { User } from '../user.ts';

/** The adapters, by the names in metrics and `explain`. */
export const adapters = adapterNames;
export type { AdapterName };

/** The source of a session, which is notified of its end. */
export interface SessionOwner {
  /** The lease expired and the session is over. Not called for an end that the owner caused. */
  lapsed(session: Session): void;
  /** An admin ended the session. The client must not start it again automatically. */
  kicked?(session: Session): void;
  /** The actual peer address, if an address that messages claim may differ. */
  readonly peer?: string;
  /** Total milliseconds for which the hub itself did not read this source. Leases are suspended in that time. */
  readonly pausedMs?: number;
  /** The value of `pausedMs` when all input had been read again. Earlier pauses no longer suspend a lease. */
  readonly madeUpMs?: number;
}

/** What an adapter reports when a user appears. */
export interface NewSession {
  readonly user: string;
  readonly device: string;
  readonly adapter: AdapterName;
  readonly status: SessionStatus;
  /** The legacy integer of this status. */
  readonly code: number;
  /** Undefined: this session states no text ('' states that there is none). */
  readonly text: string | undefined;
  readonly leaseMs: number;
  /** The address that the user claims (`user_ip:user_port`), or the peer's. For admins only. */
  readonly address: string;
  readonly owner: SessionOwner;
}

/** The fields that a later message may change. An undefined field keeps its value. */
export interface SessionUpdate {
  readonly status?: SessionStatus | undefined;
  readonly code?: number | undefined;
  readonly text?: string | undefined;
  readonly device?: string | undefined;
  readonly leaseMs?: number | undefined;
}

/**
 * `grace`: ended uncleanly, still counted until `waitEndsAt`. `restored`: live when the previous run ended, and counted
 * until its user and device are back, or until `waitEndsAt`. `ended`: out of the fold for good.
 */
export type SessionPhase = 'live' | 'grace' | 'restored' | 'ended';

export class Session implements Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  phase: SessionPhase = 'live';
  /** The next session of the same user. */
  next: Session | null = null;
  readonly user: User;
  /** Counts up over all sessions of a run. The session id is made of it. */
  readonly no: number;
  readonly adapter: AdapterName;
  readonly owner: SessionOwner;
  /** '' if it is unknown after a restart. */
  address: string;
  device: string;
  status: SessionStatus;
  code: number;
  text: string;
  /** Orders the statuses and texts of all sessions by when they were set. 0: never set. */
  statusSetNo: number;
  textSetNo: number;
  /** Monotonic milliseconds. */
  lastSignAt: number;
  /** `pausedMs` of the source at `lastSignAt`. */
  pausedMsThen: number;
  leaseMs: number;
  /** How long a session that is not live waits for its user and device. After its lease expired, the moment of that. */
  waitEndsAt = 0;
  /** Wall milliseconds; 0 if it is unknown after a restart. */
  connectedAt: number;
  /**
   * When the first session began that this one continues, by replacement or after a restart. Null for most, so that
   * they store no number.
   */
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

  /** Orders the labels of the user. A restart or a page reload does not change it. Wall milliseconds. */
  get startedAt(): number {
    return this.earlierStartAt ?? this.connectedAt;
  }

  /** When the session ends if nothing more is heard, monotonic milliseconds. */
  get endsAt(): number {
    if (this.phase !== 'live') return this.waitEndsAt;
    const { pausedMs = 0, madeUpMs = 0 } = this.owner;
    return this.lastSignAt + this.leaseMs + pausedMs - Math.max(this.pausedMsThen, madeUpMs);
  }

  /** Notes a sign of life. */
  signed(monoMs: number): void {
    this.lastSignAt = monoMs;
    this.pausedMsThen = this.owner.pausedMs ?? 0;
  }
}
