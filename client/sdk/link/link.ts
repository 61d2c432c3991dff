/**
 * The connection to the hub as a client sees it, whether this tab holds it or another tab for all. A link connects and
 * reconnects automatically. After each `welcome`, the hub knows of no watch. Types only.
 */
import type { Unwatch, Watch } from '../../../shared/messages/client-messages.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { PresenceError } from '../error.ts';
import type { MyStatus, StatusChange } from '../types.ts';

export interface Link {
  connect(): void;
  /** Sends nothing if not connected, because every watch is requested again after each welcome. */
  send(message: Watch | Unwatch): void;
  set(what: MyStatus): void;
  /**
   * Reports input that happened `agoMs` ago. The status becomes away after `awayAfterMs` without more input; 0 means
   * now, as far as this tab knows.
   */
  input(awayAfterMs: number, agoMs?: number): void;
  /** Checks within seconds whether the connection is alive. Reconnects at once if there is none. */
  check(): void;
  /** Ends with a goodbye. The status becomes `closed` when it is done. */
  leave(): void;
  close(): void;
}

export interface LinkStatus extends Omit<StatusChange, 'previous'> {
  /** When the last message of the hub arrived, by the wall clock; 0: never. */
  readonly receivedAt: number;
}

export interface LinkEvents {
  readonly onStatus: (status: LinkStatus) => void;
  readonly onMessage: (message: HubMessage) => void;
  readonly onError: (error: PresenceError) => void;
}
