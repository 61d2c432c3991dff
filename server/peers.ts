/**
 * What a hub waits for because of other hubs: before a client is answered, other hubs must be able to know what it said,
 * and before users are shown, this hub must know what other hubs know. A single hub never waits.
 */
import type { SessionStatus } from '../shared/status.ts';

export interface Peers {
  /**
   * Returns a promise that resolves when other hubs can know the user's last change, or after a second if storage that
   * they share cannot be reached. Undefined: they can. `waitedMs`: how long the client has waited for them already.
   */
  settled(user: string, waitedMs?: number): Promise<void> | undefined;
  /**
   * Returns a promise that resolves when these users may be watched, for at most 30 s. Undefined: they may be now.
   * @throws {PeersUnavailable} after that time.
   */
  load(users: readonly string[]): Promise<void> | undefined;
  /**
   * Returns a promise that resolves when these users may be read once. Undefined: they may be now.
   * @throws {StorageUnavailable} if this hub knows nothing of one of them, and cannot ask.
   */
  refresh(users: readonly string[]): Promise<void> | undefined;
  /** Ends sessions of that user and device on other hubs, as a goodbye ends those on this one. */
  goodbye(user: string, device: string): void;
  /**
   * The number of sessions that the user has on other hubs, as far as this one knows, without one of that device: a new
   * one here may take its place.
   */
  sessionsElsewhere(user: string, device: string): number;
  /**
   * Returns a promise of the status and text of the HTTP session of that user and device, if another hub has it.
   * Undefined: there is no other hub.
   */
  httpSession(user: string, device: string): Promise<HttpSessionValues | undefined> | undefined;
}

/** What stays the same if a heartbeat does not name it. */
export interface HttpSessionValues {
  readonly status: SessionStatus;
  /** Undefined: it was never set. */
  readonly text: string | undefined;
}

/** Other hubs could not be asked for as long as a watch waits. */
export class PeersUnavailable extends Error {}

/** A hub without others. */
export const noPeers: Peers = {
  settled: () => undefined,
  load: () => undefined,
  refresh: () => undefined,
  goodbye: () => undefined,
  sessionsElsewhere: () => 0,
  httpSession: () => undefined,
};
