/**
 * Joins the explanations that the hubs of a cluster give of one user, each with its own sessions, into one. Pure.
 */
import type { ExplainedSession, Explanation } from '../../../shared/messages/explain.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import { RANK } from '../fold.ts';
import type { User } from '../user.ts';
import { ruleOf } from './explain.ts';
import { sessionsOf } from '../sessions/session-list.ts';

/** `stamps`: when the status of each session was set, in the order of the sessions. */
export interface StampedExplanation {
  readonly explanation: Explanation;
  readonly stamps: readonly number[];
}

/** The stamps of a user's sessions, in the order in which it is explained. */
export function stampsOf(user: User): number[] {
  return sessionsOf(user).map(({ statusSetNo }) => statusSetNo);
}

interface Stamped {
  readonly session: ExplainedSession;
  readonly stamp: number;
}

/** Everything but the sessions and transitions is the first one's. */
export function mergeExplanations(
  own: StampedExplanation,
  others: readonly StampedExplanation[],
  maxTransitions: number,
): Explanation {
  const all = [own, ...others];
  const stamped = all.flatMap(({ explanation, stamps }) =>
    explanation.sessions.map((session, i): Stamped => ({ session, stamp: stamps[i] ?? 0 })),
  );
  stamped.sort((a, b) => (a.session.connectedAt ?? 0) - (b.session.connectedAt ?? 0));
  const decider = stamped.reduce<Stamped | undefined>(
    (best, one) => (best === undefined || outranks(one, best) ? one : best),
    undefined,
  )?.session;
  const sessions = stamped.map(({ session }) => ({ ...session, decides: session === decider }));
  const { explanation } = own;
  const decision =
    decider === undefined
      ? explanation.decision
      : {
          status: decider.status,
          code: decider.code,
          session: decider.id,
          rule: ruleOf(
            { status: decider.status, phase: decider.state },
            sessions.map(({ status, state }) => ({ status, phase: state })),
          ),
        };
  const transitions = all.flatMap((one) => one.explanation.transitions).sort((a, b) => b.at - a.at);
  return {
    ...explanation,
    decision,
    hidden: { ...explanation.hidden, isInvisible: decision.status === 'invisible' },
    sessions,
    transitions: transitions.slice(0, maxTransitions),
    transitionsSince: Math.max(...all.map((one) => one.explanation.transitionsSince)),
  };
}

function outranks(one: Stamped, other: Stamped): boolean {
  const rank = (status: SessionStatus): number => RANK[status];
  const difference = rank(one.session.status) - rank(other.session.status);
  return difference > 0 || (difference === 0 && one.stamp > other.stamp);
}
