/**
 * Sessions without a connection: user and device identify them, on whichever node. A newer one continues the older ones.
 * Pure.
 */
import type { Parts, SharedSession, UserRecord } from './record.ts';

type Source = Pick<SharedSession, 'a' | 'd'>;

interface Ends {
  /** Whether an incarnation was declared dead or has left. */
  hasEnded(inc: string): boolean;
}

export const ONE_PER_DEVICE: readonly SharedSession['a'][] = ['http', 'poll'];

export function keyOf({ a, d }: Source): string {
  return `${a} ${d}`;
}

/** The start of the newest session of each such user and device. It replaces the older ones. */
export function newestByDevice(parts: Parts, liveness: Ends): Map<string, number> {
  const newest = new Map<string, number>();
  for (const [inc, sessions] of Object.entries(parts)) {
    if (liveness.hasEnded(inc)) continue;
    for (const session of sessions) {
      if (!ONE_PER_DEVICE.includes(session.a)) continue;
      newest.set(keyOf(session), Math.max(session.b, newest.get(keyOf(session)) ?? 0));
    }
  }
  return newest;
}

/** Returns the sessions that another node took over with a new session. */
export function takenOver(
  record: UserRecord,
  sessions: readonly Pick<SharedSession, 'a' | 'd' | 'k' | 'b'>[],
  liveness: Ends,
): string[] {
  const newest = newestByDevice(record.parts ?? {}, liveness);
  return sessions.filter((session) => session.b < (newest.get(keyOf(session)) ?? 0)).map(({ k }) => k);
}

/** Finds the session of another node that a session of this node (`inc`) continues. Undefined if it is a new session. */
export function continuedBy(source: Source, parts: Parts, inc: string): SharedSession | undefined {
  if (!ONE_PER_DEVICE.includes(source.a)) return undefined;
  const others = Object.entries(parts).flatMap(([other, sessions]) => (other === inc ? [] : sessions));
  const alike = others.filter((session) => keyOf(session) === keyOf(source));
  return alike.sort((one, other) => other.b - one.b)[0];
}
