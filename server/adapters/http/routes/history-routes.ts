/** The history of a user over HTTP: transitions in pages, and the time spent with each status. */
import type { History } from '../../../history/history.ts';
import type { HistoryTransition } from '../../../history/port.ts';
import { mayReadHistory } from '../../../auth/policy.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { MAX_HISTORY } from '../../../../shared/limits.ts';
import { isWholeWithin } from '../../../../shared/result.ts';
import { bad, readUser } from '../read.ts';
import type { HttpReply } from '../../../sockets/port.ts';
import { json, problem } from '../reply.ts';
import { route, type Call, type Read, type Route } from '../route.ts';

export interface HistoryRoutesOptions {
  /** Null if history is off. */
  readonly history: Pick<History, 'since' | 'transitions' | 'uptime'> | null;
  /** HUB_LAST_SEEN=hide */
  readonly hidesLastSeen: boolean;
  readonly clock: Clock;
}

interface Question {
  readonly user: string;
  /** Undefined: since history began. */
  readonly from: number | undefined;
  readonly to: number;
  readonly limit: number;
}

export function historyRoutes(options: HistoryRoutesOptions): Route[] {
  const about = (call: Call): Read<Question> => readQuestion(call, options.clock.now().wallMs);
  const may = (identity: Call['identity'], { user }: Question): boolean =>
    mayReadHistory(identity, user, options.hidesLastSeen);
  return [
    route({
      method: 'GET',
      path: '/v1/users/{user}/history',
      isLong: true,
      about,
      may,
      answer: async ({ viewer, chargeFor }, { user, from = 0, to, limit }) => {
        if (options.history === null) return off();
        const reader = { viewer, chargeFor };
        const { transitions, next } = await options.history.transitions(user, { from, to }, limit, reader);
        return json(JSON.stringify({ user, transitions: transitions.map(shown), next }));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/users/{user}/uptime',
      isLong: true,
      about,
      may,
      answer: async ({ viewer, chargeFor }, { user, from, to }) => {
        const { history } = options;
        if (history === null) return off();
        const span = { from: from ?? Math.min(history.since, to), to };
        const { online, away, busy, offline, unknown } = await history.uptime(user, span, { viewer, chargeFor });
        const sums = { onlineMs: online, awayMs: away, busyMs: busy, offlineMs: offline, unknownMs: unknown };
        return json(JSON.stringify({ user, ...sums }));
      },
    }),
  ];
}

function off(): HttpReply {
  return problem('turned_off', 'history: it is turned off; set HUB_HISTORY_DAYS above 0 to turn it on');
}

function shown({ at, from, to, cause, merged }: HistoryTransition): object {
  return { at, from, to, cause, ...(merged !== null && { merged: true }) };
}

function readQuestion(call: Call, nowMs: number): Read<Question> {
  const user = readUser(call, 'user');
  if (!user.ok) return user;
  const from = readNumber(call, 'from', 0, Number.MAX_SAFE_INTEGER);
  if (!from.ok) return from;
  const to = readNumber(call, 'to', 0, Number.MAX_SAFE_INTEGER);
  if (!to.ok) return to;
  const limit = readNumber(call, 'limit', 1, MAX_HISTORY);
  if (!limit.ok) return limit;
  const end = to.value ?? nowMs;
  if (from.value !== undefined && from.value > end) return bad('from: must not be after to');
  return { ok: true, value: { user: user.value, from: from.value, to: end, limit: limit.value ?? MAX_HISTORY } };
}

function readNumber({ query }: Call, name: string, min: number, max: number): Read<number | undefined> {
  const [text, ...others] = query.getAll(name);
  if (text === undefined) return { ok: true, value: undefined };
  if (others.length > 0) return bad(`${name}: must be given once`);
  if (isWholeWithin(text, min, max)) return { ok: true, value: Number(text) };
  return bad(
    `${name}: must be ${max === MAX_HISTORY ? `a whole number from ${min} to ${max}` : 'an instant in milliseconds'}`,
  );
}
