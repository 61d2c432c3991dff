/**
 * An explanation as sentences and rows: what others see, why, and each session's record as the legacy server would show
 * it. Countdowns use the hub's clock. Pure.
 */
import { formatAgo, formatDuration, formatTime } from '../../ui/ago.ts';
import type { ExplainedSession, Explanation, Transition } from '../hub/wire.ts';

export interface SessionRow {
  readonly session: ExplainedSession;
  /** The five fields of the legacy record, by their legacy names. */
  readonly record: readonly { readonly name: string; readonly value: string; readonly note?: string }[];
  readonly leaseLeft: string;
  /** What is left of the lease since the last sign of life, 0 to 1. */
  readonly leasePart: number;
}

export interface TransitionRow {
  readonly key: string;
  readonly transition: Transition;
  readonly time: string;
  readonly age: string;
  readonly cause: string;
}

export interface ExplainView {
  readonly headline: string;
  readonly seen: string;
  /** Why some viewers see something else; empty if all see the same. */
  readonly hidden: readonly string[];
  readonly sessions: readonly SessionRow[];
  readonly transitions: readonly TransitionRow[];
  readonly transitionsNote: string;
}

/** @param now on the hub's clock. */
export function viewOf(explanation: Explanation, now: number): ExplainView {
  const { user, entry, sessions, transitions, transitionsSince } = explanation;
  const since = formatTime(transitionsSince, now);
  return {
    headline: `is shown ${entry.status}`,
    seen: describeSeen(explanation, now),
    hidden: describeHidden(explanation),
    sessions: sessions.map((session) => sessionRow(user, session, now)),
    transitions: transitions.map((transition, index) => ({
      key: `${transition.at}.${transitions.length - index}`,
      transition,
      time: formatTime(transition.at, now, true),
      age: formatAgo(transition.at, now),
      cause: asWords(transition.cause),
    })),
    transitionsNote:
      transitions.length === 0 ? `None since ${since}. Earlier changes are not kept.` : `Newest 20 since ${since}.`,
  };
}

export function asWords(cause: string): string {
  return cause.replaceAll('_', ' ');
}

/** Describes what the end of a session means for its client. */
export function describeEnd(adapter: ExplainedSession['adapter']): string {
  switch (adapter) {
    case 'tcp-xml':
      return 'After that, the hub rejects this user on that connection. Other users on it continue.';
    case 'ws-json':
      return 'Its WebSocket is closed with 4403; clients should not reconnect automatically after that.';
    case 'http':
    case 'poll':
      return 'The client can start a new session with its next heartbeat.';
    default:
      return adapter satisfies never;
  }
}

function describeSeen({ entry }: Explanation, now: number): string {
  if (entry.since === null) return 'The hub has never seen this user.';
  const shown = `for ${formatDuration(now - entry.since)}, since ${formatTime(entry.since, now)}`;
  // While the user is visible, its last sign of life may be newer than the entry's. The sessions show it.
  if (entry.status !== 'offline' || entry.lastSeen === null) return shown;
  return `${shown}; last seen ${formatAgo(entry.lastSeen, now)}`;
}

function describeHidden({ hidden: { isInvisible, from, fromCount } }: Explanation): readonly string[] {
  const others = fromCount > from.length ? ` and ${fromCount - from.length} more` : '';
  return [
    ...(isInvisible ? ['This user is invisible: everyone else sees it as offline.'] : []),
    ...(fromCount > 0 ? [`This user blocks ${from.join(', ')}${others}: they see it as offline.`] : []),
  ];
}

/** Returns the time left until then, to a tenth of a second if little is left. */
export function formatLeft(until: number, now: number): string {
  const left = until - now;
  if (left <= 0) return 'due';
  return left < 10_000 ? `${(left / 1000).toFixed(1)} s` : formatDuration(left);
}

function sessionRow(user: string, session: ExplainedSession, now: number): SessionRow {
  const { status, code, address, peerAddress, connectedAt, lastHeartbeatAt, leaseEndsAt } = session;
  const whole = leaseEndsAt - lastHeartbeatAt;
  const instant = (at: number): { value: string; note: string } => ({
    value: formatTime(at, now),
    note: formatAgo(at, now),
  });
  return {
    session,
    record: [
      {
        name: 'Address',
        value: address ?? 'not known after the restart',
        ...(peerAddress === undefined ? {} : { note: `claimed, connected from ${peerAddress}` }),
      },
      { name: 'Identifier', value: user },
      { name: 'Network state', value: String(code), note: status },
      {
        name: 'Connect time',
        ...(connectedAt === null ? { value: 'not known after the restart' } : instant(connectedAt)),
      },
      { name: 'Heartbeat time', ...instant(lastHeartbeatAt) },
    ],
    leaseLeft: formatLeft(leaseEndsAt, now),
    leasePart: whole <= 0 ? 0 : Math.min(1, Math.max(0, (leaseEndsAt - now) / whole)),
  };
}
