/** What the page says of a friend and of the connection, in words. Pure. */
import type { Entry } from '../sdk/index.ts';
import { ago, timeOf } from './ago.ts';

export type Status = Entry['status'];

/** How sure the page can be of what it shows. */
export type Connection =
  | { readonly kind: 'connecting'; readonly isRetry: boolean }
  | { readonly kind: 'live' }
  /** What was last known is shown; `why` it is not followed any more, or not surely. */
  | { readonly kind: 'behind'; readonly since: number; readonly why: WhyBehind }
  /** The person who looks has to do something. `isOver`: this visit does not go on, even if a token is given. */
  | { readonly kind: 'refused'; readonly why: string; readonly wantsToken: boolean; readonly isOver: boolean };
type WhyBehind = 'reconnecting' | 'no network' | 'hub unsure' | 'token refused';

/** Whether the hub tells what happens: then it also knows of me. */
export function isFollowing(connection: Connection): boolean {
  return connection.kind === 'live' || (connection.kind === 'behind' && connection.why === 'hub unsure');
}

export const statusWords: Readonly<Record<Status | 'invisible', string>> = {
  online: 'Online',
  busy: 'Busy',
  away: 'Away',
  offline: 'Offline',
  invisible: 'Invisible',
};

/** While it is behind, nothing is said as if it were so now. */
export function statusWord(status: Status, isBehind: boolean): string {
  return isBehind ? `Was ${status}` : statusWords[status];
}

/** The second line of an offline friend; undefined where there is nothing to say. */
export function lastSeenWords({ status, lastSeen, v }: Entry, now: number): string | undefined {
  if (status !== 'offline') return undefined;
  if (v === 0) return 'Never online yet';
  // The hub may be set to show it to nobody.
  return lastSeen === null ? undefined : `Last seen ${ago(lastSeen, now)}`;
}

export function connectionWords(connection: Connection, now: number): string {
  switch (connection.kind) {
    case 'connecting':
      return connection.isRetry ? 'The hub can’t be reached yet, trying again…' : 'Connecting…';
    case 'live':
      return 'Live';
    case 'behind': {
      const asOf = `As of ${timeOf(connection.since, now)}`;
      if (connection.why === 'reconnecting') return `${asOf}, reconnecting…`;
      if (connection.why === 'no network') return `${asOf}: this device has no network`;
      if (connection.why === 'token refused') return `${asOf}: the hub no longer accepts the token`;
      return `${asOf}: some friends may still be reconnecting`;
    }
    case 'refused':
      return connection.why;
    default:
      return connection satisfies never;
  }
}
