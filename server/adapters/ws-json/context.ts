/**
 * What a connection gets: the parts of the hub, and what the adapter shares among its connections. Only types, so that
 * every file of the adapter can import it without a cycle.
 */
import type { RefusalReason } from '../../../shared/reasons.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { IsFriend } from '../../auth/policy.ts';
import type { Rate } from '../../lib/time/token-bucket.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { InputWait } from '../../lib/time/input-wait.ts';
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { ExplainRefusal } from '../../lib/log/refusal-log.ts';
import type { FairQueue } from '../../lib/collections/fair-queue.ts';
import type { Fanout } from '../../fanout/fanout.ts';
import type { Tails } from '../../fanout/tails.ts';
import type { Outbox } from '../../fanout/delivery/outbox.ts';
import type { Intake } from '../../intake.ts';
import type { Peers } from '../../peers.ts';
import type { Session } from '../../presence/sessions/session.ts';
import type { Socket } from '../../sockets/port.ts';
import type { Observers } from './observers.ts';

/** A reload of the settings may change them, so they must not be copied. */
interface ClientLimits {
  /** Maximum watches of one connection: users watched by id plus friend lists. */
  readonly maxWatches: number;
  /** Maximum sessions of one user, and also maximum observers of one user. */
  readonly maxSessions: number;
  /** How long a client may read too slowly. */
  readonly slowMs: number;
}

/** The parts of the hub that connections need. */
export interface WsJsonOptions {
  readonly authenticator: Authenticator;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
  /** Message rate of one connection. */
  readonly messages: Rate;
  /** Budget for long work in one turn of the loop. */
  readonly workTurns: Pick<TurnBudget, 'take'>;
  readonly limits: ClientLimits;
  /** Makes the friend list of a user readable, see `Roster.load`. */
  readonly loadFriends: (user: string) => Promise<void> | undefined;
  /** Answers who is whose friend, prepared for that many users. Their lists must be loaded. */
  readonly friendLookUp: (count: number) => IsFriend;
  readonly peers: Peers;
  readonly intake: Intake;
  readonly fanout: Fanout;
  readonly tails: Pick<Tails, 'begin' | 'end'>;
  readonly clock: Clock;
  readonly inputWait: InputWait;
  readonly openOutbox: (socket: Socket) => Outbox;
  readonly codeOf: (status: SessionStatus) => number;
  readonly heartbeatMs: number;
  readonly timeoutMs: number;
  /** Runs right after the welcome, because the entries shown may be outdated. */
  readonly onWelcomed: (outbox: Outbox) => void;
  /** Name of this hub, sent in `welcome`. */
  readonly node: string;
  /** Id of a session, sent in `welcome`. */
  readonly idOf: (session: Session) => string;
  /** The same for an observer, by its number. */
  readonly idOfObserver: (no: number) => string;
  /** Reports that a message could not be answered because of a fault in the hub. */
  readonly onFault: (error: unknown) => void;
}

/** Adds what the adapter shares among its connections. */
export interface ConnectionContext extends WsJsonOptions {
  readonly turns: FairQueue;
  readonly observers: Observers;
  /**
   * Monotonic time of the last tick in milliseconds. May be 25 ms old, but saves reading the clock for each message.
   */
  readonly lastTickAt: number;
  /** Sent to an observer in place of a session id. */
  readonly nameObserver: () => string;
}
