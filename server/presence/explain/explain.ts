/**
 * Explains why a user is shown as it is: its sessions, which of them decides and by which rule, and from whom the user
 * is hidden. Pure. For admins only.
 */
import type { Entry } from '../../../shared/messages/entry.ts';
import type { ExplainedSession, Explanation } from '../../../shared/messages/explain.ts';
import { deciderOf } from '../fold.ts';
import { endOf, sessionsOf } from '../sessions/session-list.ts';
import type { Session } from '../sessions/session.ts';
import type { User } from '../user.ts';

export type Explained = Pick<Explanation, 'user' | 'entry' | 'decision' | 'hidden' | 'sessions'>;

interface Facts {
  readonly entry: Entry;
  readonly idOf: (no: number) => string;
  /** Converts a forward-clock instant to the wall clock. */
  readonly wallOf: (monoMs: number) => number;
}

const MAX_BLOCKED = 100;

export function explainUser(user: User, facts: Facts): Explained {
  const { firstSession, fold, hiddenFrom } = user;
  const decider = firstSession === null ? null : deciderOf(firstSession);
  const sessions = sessionsOf(user);
  return {
    user: user.id,
    entry: facts.entry,
    decision: {
      status: fold.status,
      code: fold.code,
      session: decider === null ? null : facts.idOf(decider.no),
      rule: decider === null ? ruleWithout(user) : ruleOf(decider, sessions),
    },
    hidden: {
      isInvisible: fold.status === 'invisible',
      from: [...(hiddenFrom?.keys() ?? [])].slice(0, MAX_BLOCKED),
      fromCount: hiddenFrom?.size ?? 0,
    },
    sessions: sessions.map((session) => explainSession(session, session === decider, facts)),
  };
}

function explainSession(session: Session, decides: boolean, { idOf, wallOf }: Facts): ExplainedSession {
  const { no, phase, adapter, device, address, status, code, text, connectedAt, lastSignAt } = session;
  const { peer = address } = session.owner;
  return {
    id: idOf(no),
    state: phase === 'ended' ? 'grace' : phase,
    adapter,
    device,
    address: address === '' ? null : address,
    ...(peer === address ? {} : { peerAddress: peer }),
    status,
    code,
    ...(text === '' ? {} : { text }),
    connectedAt: connectedAt === 0 ? null : connectedAt,
    lastHeartbeatAt: wallOf(lastSignAt),
    leaseEndsAt: wallOf(endOf(session)),
    decides,
  };
}

function ruleWithout({ v }: User): string {
  return v === 0 ? 'nobody has ever seen this user, and it has no session' : 'it has no session: offline';
}

const ranks = {
  invisible: 'invisible wins over everything, and others see the user as offline',
  busy: 'busy wins over online and away',
  online: 'online wins over away',
  away: 'no session says more than away',
} as const;

const waits = {
  live: '',
  ended: '',
  grace: '; its connection is lost, and it counts until its grace period ends',
  restored: '; it was restored after a restart, and counts until its user is back or its time is over',
} as const;

type Ruling = Pick<Session, 'status' | 'phase'>;

/** Says in a sentence why this one of the sessions decides. */
export function ruleOf(decider: Ruling, sessions: readonly Ruling[]): string {
  const { status, phase } = decider;
  if (sessions.length === 1) {
    const hides = status === 'invisible' ? ', and others see the user as offline' : '';
    return `its only session says ${status}${hides}${waits[phase]}`;
  }
  const alike = sessions.filter((session) => session.status === status).length;
  const all = alike === sessions.length && status !== 'invisible';
  const rank = all ? `all ${alike} sessions say ${status}` : ranks[status];
  const last = alike === 1 ? '' : `; of ${alike} that say so, the one that said it last decides`;
  return `${rank}${all ? '; the one that said it last decides' : last}${waits[phase]}`;
}
