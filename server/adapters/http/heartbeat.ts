/**
 * Heartbeats over HTTP: user and device are the session, the newest beat wins, and a beat brings its own lease. There is
 * no connection, so nothing breaks: it lives until its lease runs out or says `offline`. The API calls it with a body
 * of the right form.
 */
import type { HeartbeatBody } from '../../../shared/http-bodies.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Intake, SessionRefusal } from '../../intake.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';

export interface HttpHeartbeatOptions {
  readonly intake: Intake;
  readonly codeOf: (status: SessionStatus) => number;
  /** The lease of a beat that names none. */
  readonly timeoutMs: number;
  /** A lease beyond this must be stored, or a restart would cut it short. */
  readonly warmMs: number;
  readonly keepLease: (user: Session['user']) => void;
}

/** Nobody waits to hear that an HTTP session lapsed. */
const nobody: SessionOwner = { lapsed: () => undefined };

/** The lease is `maxLeaseMs` at most. @returns why it does not count; undefined if it does. */
export function takeHttpHeartbeat(
  hub: HttpHeartbeatOptions,
  body: HeartbeatBody,
  address: string,
  maxLeaseMs: number,
): SessionRefusal | undefined {
  const { intake } = hub;
  const { user, device = 'http', status, text, ttlMs = hub.timeoutMs } = body;
  const leaseMs = Math.min(ttlMs, maxLeaseMs);
  const session = intake.find(user, device, 'http');
  if (status === 'offline') {
    if (session === undefined) intake.leaveDevice(user, device);
    else intake.leave(session);
    return undefined;
  }
  if (session !== undefined) {
    const code = status === undefined ? undefined : hub.codeOf(status);
    intake.beat(session, { status, code, text, leaseMs });
    intake.heardFrom(session, address);
    if (leaseMs > hub.warmMs) hub.keepLease(session.user);
    return undefined;
  }
  const first = status ?? 'online';
  const code = hub.codeOf(first);
  const claim = { user, device, adapter: 'http', status: first, code, text, leaseMs, address, owner: nobody } as const;
  const begun = intake.begin(claim);
  return typeof begun === 'string' ? begun : undefined;
}
