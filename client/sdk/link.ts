/**
 * The way to the hub as a client sees it, whoever holds the connection: this tab, or another one for all. A link connects,
 * stays and comes back by itself; with each `welcome` the hub knows of no watch. Types alone.
 */
import type { Unwatch, Watch } from '../../shared/client-messages.ts';
import type { HubMessage } from '../../shared/hub-messages.ts';
import type { PresenceError } from './error.ts';
import type { MyStatus, StatusChange } from './types.ts';

export interface Link {
  connect(): void;
  /** Goes nowhere where it is not connected: what is watched is asked again after each welcome. */
  send(message: Watch | Unwatch): void;
  set(what: MyStatus): void;
  /**
   * Somebody is here, or was so long ago; away without another such word for that long. 0: away now, as far as this tab
   * knows.
   */
  input(awayAfterMs: number, agoMs?: number): void;
  /** Finds out within seconds whether the connection is sound; comes back at once if there is none. */
  check(): void;
  /** With a goodbye; `closed` is told when it is over. */
  leave(): void;
  close(): void;
}

export interface LinkStatus extends Omit<StatusChange, 'previous'> {
  /** When the hub was last heard, by the wall clock; 0: never. */
  readonly heardAt: number;
}

export interface LinkEvents {
  readonly onStatus: (status: LinkStatus) => void;
  readonly onMessage: (message: HubMessage) => void;
  readonly onError: (error: PresenceError) => void;
}
