/** Asks a test hub why a user is shown as it is, and holds the answer to the contract's form. */
import { explanation, type ExplainedSession, type Explanation } from '../../shared/messages/explain.ts';
import type { TestHub } from './hub.ts';

export async function explain(hub: Pick<TestHub, 'request'>, user: string): Promise<Explanation> {
  const { status, body } = await hub.request('GET', `/v1/users/${user}/explain`);
  if (status !== 200) throw new Error(`explain answered ${status}`);
  return explanation.strict().parse(body);
}

/** The user's only session. */
export async function onlySession(hub: Pick<TestHub, 'request'>, user: string): Promise<ExplainedSession> {
  const { sessions } = await explain(hub, user);
  const [session] = sessions;
  if (session === undefined || sessions.length > 1) throw new Error(`${user} has ${sessions.length} sessions`);
  return session;
}

/** What happened, the newest first, as `cause from>to adapter`. */
export async function transitionsOf(hub: Pick<TestHub, 'request'>, user: string): Promise<string[]> {
  const { transitions } = await explain(hub, user);
  return transitions.map(({ cause, from, to, adapter }) => `${cause} ${from}>${to} ${adapter}`);
}

export function kick(hub: Pick<TestHub, 'request'>, user: string, session: string): ReturnType<TestHub['request']> {
  return hub.request('DELETE', `/v1/users/${user}/sessions/${session}`);
}
