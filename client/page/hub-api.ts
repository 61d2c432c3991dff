/** Changes of the friend list over HTTP. Returns the hub's own text if it refuses, and never throws. */
import { currentToken } from './token.ts';

/** Undefined on success: the live view then shows the change. */
export type Problem = string | undefined;

export const befriend = (user: string, friend: string): Promise<Problem> => change('PUT', user, friend);
export const unfriend = (user: string, friend: string): Promise<Problem> => change('DELETE', user, friend);

async function change(method: 'PUT' | 'DELETE', user: string, friend: string): Promise<Problem> {
  const token = currentToken();
  try {
    const answer = await fetch(`/v1/users/${encodeURIComponent(user)}/friends/${encodeURIComponent(friend)}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    // The hub answers, so a client that waits for a reconnect need not wait any longer.
    dispatchEvent(new Event('online'));
    if (answer.ok) return undefined;
    if (answer.status === 403) return 'You may not change this list; an admin can.';
    const { detail } = (await answer.json()) as { detail?: unknown };
    return typeof detail === 'string' ? detail : `The hub answered ${answer.status}; try again.`;
  } catch {
    return 'The hub did not answer; try again.';
  }
}
