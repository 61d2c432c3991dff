/**
 * What the phases of a connection (awaiting-hello.ts, established.ts) may do with it: answer, complain, end it; and the table of the
 * refusals that end it. Holds no state: connection.ts is the line.
 */
import type { MessageId } from '../../../shared/client-messages.ts';
import type { CloseReason, ErrorCode, RefusalReason } from '../../../shared/reasons.ts';
import type { HubMessage } from '../../../shared/hub-messages.ts';
import { HELLO_WITHIN_MS } from '../../../shared/limits.ts';
import { REFUSAL, UNDECIDED, type Undecided } from '../../auth/authenticator.ts';
import type { Outbox } from '../../fanout/outbox.ts';
import type { SessionOwner } from '../../presence/session.ts';
import type { Established } from './established.ts';

export interface ConnectionControl extends SessionOwner {
  readonly outbox: Outbox;
  /** The client's. */
  readonly address: string;
  /** False once the hub has said its last word. */
  readonly isOpen: boolean;
  /** Whether something of the client has come and could not be handled yet. */
  readonly isWaiting: boolean;
  /** The message in hand costs that much more than its size says: what comes after it waits for longer. */
  charge(units: number): void;
  /** What comes next waits until `release`. */
  hold(): void;
  release(): void;
  /** The greeting is over. */
  welcomed(client: Established): void;
  send(message: HubMessage): void;
  ok(id: MessageId | undefined): void;
  error(code: ErrorCode, message: string, re: MessageId | undefined): void;
  /** A `bad_message`; the tenth in a row ends the connection. */
  bad(problem: string, re: MessageId | undefined): void;
  /** A good message: the count of bad ones starts anew. */
  good(): void;
  /** Counts it, says why, and ends the connection. */
  reject(reason: Refusal, re: MessageId | undefined): void;
  /** A session that is still there gets the grace of an unclean end. */
  endSession(reason: CloseReason): void;
  /** Says goodbye, whatever becomes of the session. */
  close(reason: CloseReason): void;
  ping(): void;
  /** Has the phase looked at then, monotonic milliseconds, in place of any other date. */
  wakeAt(monoMs: number): void;
}

/** What is said of a fault of our own. */
export const FAILED = 'the hub failed; it is not the message’s fault, try again';

interface EndingRefusal {
  /** What it is counted as. */
  readonly reason: RefusalReason;
  readonly code: ErrorCode;
  readonly message: string;
  readonly close: CloseReason;
}

/** The refusals that end a connection: what is said, and the close that follows. */
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
    message: 'user: the token is not this user’s',
    close: 'forbidden',
  },
  keys: { reason: 'unavailable', code: 'unavailable', message: UNDECIDED.keys, close: 'keysUnavailable' },
  early: { reason: 'unavailable', code: 'unavailable', message: UNDECIDED.early, close: 'earlyToken' },
  busy: { reason: 'messages', code: 'unavailable', message: UNDECIDED.busy, close: 'badTokens' },
  messages: {
    reason: 'messages',
    code: 'rate_limited',
    message: 'too many messages: come back later, and slower',
    close: 'rateLimited',
  },
  slow_sender: {
    reason: 'slow_sender',
    code: 'hello_first',
    message: `hello: must come within ${HELLO_WITHIN_MS} ms`,
    close: 'timedOut',
  },
} as const satisfies Record<Undecided['fault'], EndingRefusal> & Readonly<Record<string, EndingRefusal>>;
export type Refusal = keyof typeof refusals;
