/**
 * The cause of a change as others may know it: the form of webhooks and of history. The true cause would tell an
 * invisible user from one who left. Pure.
 */
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../shared/status.ts';

const causes: Readonly<Record<TransitionCause, ShownCause>> = {
  came: 'began',
  returned: 'set',
  set: 'set',
  left: 'bye',
  lost: 'closed',
  closed: 'closed',
  token_ran_out: 'closed',
  grace_over: 'closed',
  lapsed: 'lapsed',
  failed: 'lapsed',
  kicked: 'kicked',
  restored: 'restored',
  not_back: 'lapsed',
  node_lost: 'node_lost',
};

/** Whether a session can make its user look offline with this cause: it can only by being invisible. */
const hidesUser = new Set<ShownCause>(['began', 'set', 'restored']);

/**
 * Returns the cause for others. Becoming invisible is `bye`, and becoming visible again is `began`, whatever session
 * did it.
 */
export function shownCause(cause: TransitionCause, from: UserStatus, to: UserStatus): ShownCause {
  const shown = causes[cause];
  if (to === 'offline') return hidesUser.has(shown) ? 'bye' : shown;
  return from === 'offline' ? 'began' : shown;
}
