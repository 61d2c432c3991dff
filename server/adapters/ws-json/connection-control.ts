/**
 * What the phases of a connection (awaiting-hello.ts, established.ts) may do with it: answer, report errors, end it.
 * Also holds the table of refusals that end it. Holds no state; connection.ts implements the interface.
 */
import type { MessageId } from '../../../shared/messages/client-messages.ts';
import type { CloseReason, ErrorCode, RefusalReason } from '../../../shared/reasons.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { HELLO_WITHIN_MS } from '../../../shared/limits.ts';
import { REFUSAL, UNDECIDED, type Undecided } from '../../auth/authenticator.ts';
import type { Outbox } from '../../fanout/delivery/outbox.ts';
import type { Identity } from '../../auth/identity.ts';
import type { Session, SessionOwner } from '../../presence/sessions/session.ts';

/** The client that was welcomed. */
export interface Client {
  readonly identity: Identity;
  /** The user named in the hello. */
  readonly claimed: string | undefined;
  /** Null for an observer. */
  readonly session: Session | null;
  /** The user that an observer counts for; null for none. */
  readonly observer: string | null;
}

export interface ConnectionControl extends SessionOwner {
  readonly outbox: Outbox;
  /** Address of the client. */
  readonly address: string;
  /** False once the hub has sent its last message. */
  readonly isOpen: boolean;
  /** Whether messages of the client have arrived that could not be handled yet. */
  readonly isWaiting: boolean;
  /** Charges more for the current message than its size suggests. Later messages wait accordingly. */
  charge(units: number): void;
  /** Holds further messages until `release`. */
  hold(): void;
  release(): void;
  /** Moves the connection to its next phase. */
  welcomed(client: Client): void;
  /** Notes that the welcome is sent, which may be later. Before it, nothing else is sent. */
  sentWelcome(): void;
  send(message: HubMessage): void;
  ok(id: MessageId | undefined): void;
  error(code: ErrorCode, message: string, re: MessageId | undefined): void;
  /** Answers `bad_message`. The tenth in a row ends the connection. */
  bad(problem: string, re: MessageId | undefined): void;
  /** Records a good message: the count of bad ones in a row restarts. */
  good(): void;
  /** Counts the refusal, sends the reason, and ends the connection. */
  reject(reason: Refusal, re: MessageId | undefined): void;
  /** Ends the connection. If its session is still live, the session gets the grace of an unclean end. */
  endSession(reason: CloseReason): void;
  /** Closes the connection. Does not touch its session. */
  close(reason: CloseReason): void;
  ping(): void;
  /** Schedules the next tick of the phase at that monotonic time, replacing any other. */
  wakeAt(monoMs: number): void;
}

/** Error message for a fault in the hub. */
export const FAILED = 'the hub failed, not because of the message; try again';

interface EndingRefusal {
  /** The reason that the refusal is counted as. */
  readonly reason: RefusalReason;
  readonly code: ErrorCode;
  readonly message: string;
  readonly close: CloseReason;
}

/** The refusals that end a connection: the error that is sent, and the close that follows. */
export const refusals = {
  unauthenticated: {
    reason: 'unauthenticated',
    code: 'unauthenticated',
    message: REFUSAL,
    close: 'unauthenticated',
  },
  forbidden: {
    reason: 'forbidden',
    code: 'forbidden',
    message: 'user: the token belongs to another user',
    close: 'forbidden',
  },
  keys: { reason: 'unavailable', code: 'unavailable', message: UNDECIDED.keys, close: 'keysUnavailable' },
  early: { reason: 'unavailable', code: 'unavailable', message: UNDECIDED.early, close: 'earlyToken' },
  busy: { reason: 'messages', code: 'unavailable', message: UNDECIDED.busy, close: 'badTokens' },
  messages: {
    reason: 'messages',
    code: 'rate_limited',
    message: 'too many messages: reconnect later, and send more slowly',
    close: 'rateLimited',
  },
  peers: {
    reason: 'unavailable',
    code: 'unavailable',
    message: 'the other hubs cannot be reached now: reconnect later',
    close: 'peersUnavailable',
  },
  slow_sender: {
    reason: 'slow_sender',
    code: 'hello_first',
    message: `hello: must come within ${HELLO_WITHIN_MS} ms`,
    close: 'timedOut',
  },
} as const satisfies Record<Undecided['fault'], EndingRefusal> & Readonly<Record<string, EndingRefusal>>;
export type Refusal = keyof typeof refusals;
