/** Describes a friend and the connection in words. Pure. */
import type { Entry } from '../sdk/index.ts';
import { agoInWords, timeInWords } from '../ui/ago.ts';

export type Status = Entry['status'];

/** How current the page's data is. */
export type Connection =
  | { readonly kind: 'connecting'; readonly isRetry: boolean }
  | { readonly kind: 'live' }
  /** Shows the last known data. `why` is the reason why it is not current, or not certain to be. */
  | { readonly kind: 'behind'; readonly since: number; readonly why: WhyBehind }
  /** The person at the page must act. `isOver`: this visit does not continue, even if a token is given. */
  | { readonly kind: 'refused'; readonly why: string; readonly wantsToken: boolean; readonly isOver: boolean };
type WhyBehind = 'reconnecting' | 'no network' | 'hub unsure' | 'token refused';

/** Returns whether the hub sends changes now. If it does, it also knows the user's own presence. */
export function isFollowing(connection: Connection): boolean {
  return connection.kind === 'live' || (connection.kind === 'behind' && connection.why === 'hub unsure');
}

export const statusLabels: Readonly<Record<Status | 'invisible', string>> = {
  online: 'Online',
  busy: 'Busy',
  away: 'Away',
  offline: 'Offline',
  invisible: 'Invisible',
};

/** Uses the past tense if the data is out of date. */
export function statusLabel(status: Status, isBehind: boolean): string {
  return isBehind ? `Was ${status}` : statusLabels[status];
}

/** Returns the second line of an offline friend; undefined if there is nothing to show. */
export function describeLastSeen({ status, lastSeen, v }: Entry, now: number): string | undefined {
  if (status !== 'offline') return undefined;
  if (v === 0) return 'Never online yet';
  // The hub may be configured to hide it.
  return lastSeen === null ? undefined : `Last seen ${agoInWords(lastSeen, now)}`;
}

export function describeConnection(connection: Connection, now: number): string {
  switch (connection.kind) {
    case 'connecting':
      return connection.isRetry ? 'Can’t reach the hub; retrying…' : 'Connecting…';
    case 'live':
      return 'Live';
    case 'behind': {
      const asOf = `As of ${timeInWords(connection.since, now)}`;
      if (connection.why === 'reconnecting') return `${asOf}, reconnecting…`;
      if (connection.why === 'no network') return `${asOf}: this device is not connected to a network`;
      if (connection.why === 'token refused') return `${asOf}: the hub no longer accepts the token`;
      return `${asOf}: some friends may still be reconnecting`;
    }
    case 'refused':
      return connection.why;
    default:
      return connection satisfies never;
  }
}
