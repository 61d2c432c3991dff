/**
 * Heartbeats over HTTP. User and device identify the session, the newest heartbeat wins, and each one sets its own
 * lease. There is no connection that could break, so a session lasts until its lease expires or a heartbeat says
 * `offline`. The body must already be valid.
 */
import type { HeartbeatBody } from '../../../../shared/messages/http-bodies.ts';
import type { SessionStatus } from '../../../../shared/status.ts';
import type { Intake, SessionRefusal } from '../../../intake.ts';
import type { HttpSessionValues } from '../../../peers.ts';
import type { Session, SessionOwner } from '../../../presence/sessions/session.ts';

export interface HttpHeartbeatOptions {
  readonly intake: Intake;
  readonly codeOf: (status: SessionStatus) => number;
  /** Lease of a heartbeat that does not set one. */
  readonly timeoutMs: number;
  /** A longer lease than this must be stored, or a restart would cut it short. */
  readonly warmMs: number;
  readonly keepLease: (user: Session['user']) => void;
}

/** The device of a heartbeat that names none. */
export const DEFAULT_DEVICE = 'http';

/** Nobody needs to be notified when an HTTP session expires. */
const nobody: SessionOwner = { lapsed: () => undefined };

/** Whether it leaves status or text as they are, and this hub does not have the session. */
export function dependsOnPeers({ intake }: HttpHeartbeatOptions, body: HeartbeatBody): boolean {
  const { user, device = DEFAULT_DEVICE, status, text } = body;
  if (status === 'offline' || (status !== undefined && text !== undefined)) return false;
  return intake.find(user, device, 'http') === undefined;
}

/**
 * Applies a heartbeat with a lease of at most `maxLeaseMs`. `elsewhere`: the session on another hub.
 * @returns why it was refused; undefined if it was accepted.
 */
export function takeHttpHeartbeat(
  hub: HttpHeartbeatOptions,
  body: HeartbeatBody,
  address: string,
  maxLeaseMs: number,
  elsewhere?: HttpSessionValues,
): SessionRefusal | undefined {
  const { intake } = hub;
  const { user, device = DEFAULT_DEVICE, status, text, ttlMs = hub.timeoutMs } = body;
  const leaseMs = Math.min(ttlMs, maxLeaseMs);
  const session = intake.find(user, device, 'http');
  if (status === 'offline') {
    if (session === undefined) intake.leaveDevice(user, device);
    else intake.leave(session);
    return undefined;
  }
  if (session !== undefined) {
    const code = status === undefined ? undefined : hub.codeOf(status);
    intake.heartbeat(session, { status, code, text, leaseMs });
    intake.noteAddress(session, address);
    if (leaseMs > hub.warmMs) hub.keepLease(session.user);
    return undefined;
  }
  const first = { status: status ?? elsewhere?.status ?? 'online', text: text ?? elsewhere?.text };
  const code = hub.codeOf(first.status);
  const begun = intake.begin({ user, device, adapter: 'http', ...first, code, leaseMs, address, owner: nobody });
  return typeof begun === 'string' ? begun : undefined;
}
