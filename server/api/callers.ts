/**
 * Who calls: from a request's bearer token to an identity, within the rate that caller has, or to the answer that turns it
 * down. Never tells the client why a token was refused. What an identity may do is the routes' question.
 */
import type { RefusalReason } from '../../shared/reasons.ts';
import {
  readBearer,
  REFUSAL,
  UNDECIDED,
  type Authenticator,
  type Undecided,
  type Verdict,
} from '../auth/authenticator.ts';
import { neighbourhoodOf } from '../auth/cidrs.ts';
import type { Identity } from '../auth/identity.ts';
import { mayAdmin } from '../auth/policy.ts';
import type { Clock } from '../lib/clock.ts';
import type { ExplainRefusal } from '../lib/refusal-log.ts';
import type { Rate } from '../lib/token-bucket.ts';
import type { HttpReply, HttpRequest } from '../sockets/port.ts';
import { CallerRates } from './caller-rates.ts';
import { problem, tooMany } from './reply.ts';

export interface CallersOptions {
  readonly authenticator: Authenticator;
  /** HUB_MESSAGES_PER_S and its burst. */
  readonly messages: Rate;
  readonly clock: Clock;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
}

export type Caller =
  { readonly ok: true; readonly identity: Identity } | { readonly ok: false; readonly reply: HttpReply };

export interface Callers {
  /** At once where no token must be verified: uWebSockets.js then serves pipelined requests. */
  identify(request: HttpRequest, isBulk: boolean): Caller | Promise<Caller>;
  /** Counts what a request costs beyond being one. A caller that was within its rate gets into debt: later ones wait. */
  charge(identity: Identity, request: HttpRequest, isBulk: boolean, units: number): void;
  /** The answer to one who may not: without a token, that one is asked for. */
  refuse(identity: Identity): HttpReply;
}

export function createCallers({ authenticator, messages, clock, onRefused, explainRefusal }: CallersOptions): Callers {
  const { withoutToken } = authenticator;
  const rates = new CallerRates(messages, clock);

  const unauthenticated = (): HttpReply => {
    onRefused('unauthenticated');
    return problem(401, `authorization: ${REFUSAL}`, { 'www-authenticate': 'Bearer' });
  };
  /** The answer to one over its rate. */
  const overRate = (caller: string, { body }: HttpRequest, units = 1): HttpReply | undefined => {
    const waitMs = rates.take(caller, units);
    if (waitMs === 0) {
      if (body.length >= BODY_CHARS_PER_UNIT) rates.take(caller, Math.floor(body.length / BODY_CHARS_PER_UNIT));
      return undefined;
    }
    onRefused('messages');
    return tooMany('requests: more than the hub allows in this time, and this one did nothing: slow down', waitMs);
  };
  /** Counted apart, so that whoever has a good token does not pay for others at its address. */
  const overRefusalRate = (request: HttpRequest) => overRate(`refused ${byAddress(request)}`, request);
  const admit = (identity: Identity, request: HttpRequest, isBulk: boolean): Caller => {
    const caller = countedAs(identity, request, isBulk);
    const reply = caller === undefined ? undefined : overRate(caller, request, identity.isOpen && isBulk ? 0 : 1);
    return reply === undefined ? { ok: true, identity } : { ok: false, reply };
  };
  const judge = (verdict: Verdict, request: HttpRequest, isBulk: boolean): Caller => {
    if (verdict.ok) return admit(verdict.identity, request, isBulk);
    const limited = verdict.fault === 'busy' ? undefined : overRefusalRate(request);
    if (limited !== undefined) return { ok: false, reply: limited };
    if (verdict.kind === 'refused') return { ok: false, reply: unauthenticated() };
    onRefused(verdict.fault === 'busy' ? 'messages' : 'unavailable');
    return { ok: false, reply: undecided(verdict) };
  };

  return {
    identify: (request, isBulk) => {
      // Where everyone is admin a token can add nothing, so none is looked at.
      if (withoutToken !== null && mayAdmin(withoutToken)) return admit(withoutToken, request, isBulk);
      const token = readBearer(request.headers.get('authorization'));
      if (token !== undefined) {
        const verified = authenticator.verify(token, request.remoteAddress);
        return verified.then((verdict) => judge(verdict, request, isBulk));
      }
      if (withoutToken !== null) return admit(withoutToken, request, isBulk);
      explainRefusal('missing', 'a request brought no token as “Authorization: Bearer”, and HUB_AUTH=jwt asks for one');
      return { ok: false, reply: overRefusalRate(request) ?? unauthenticated() };
    },
    charge: (identity, request, isBulk, units) => {
      const caller = countedAs(identity, request, isBulk);
      if (caller !== undefined) rates.take(caller, units);
    },
    refuse: (identity) => {
      if (identity === withoutToken) {
        explainRefusal('admin', 'a request without HUB_ADMIN_TOKEN was refused: what it asks for is an admin’s');
        return unauthenticated();
      }
      onRefused('forbidden');
      explainRefusal('forbidden', 'a request was refused: its token’s sub and scope do not allow it', {
        sub: identity.user ?? 'no user',
        scope: [...identity.scopes].join(' '),
      });
      return problem(403, 'authorization: the token does not allow this');
    },
  };
}

function undecided({ fault, retryInMs }: Undecided): HttpReply {
  const detail = `authorization: ${UNDECIDED[fault]}`;
  if (fault === 'busy') return tooMany(detail, retryInMs);
  return problem(503, detail, { 'retry-after': String(Math.ceil(retryInMs / 1000)) });
}

/** A body counts one more for each so many characters: to parse ten thousand ids is work. */
const BODY_CHARS_PER_UNIT = 4096;

/**
 * Whom a request is counted for; undefined for an admin's token, which is trusted. In open mode bulk work is counted apart
 * and by its size alone: a script that makes friends one by one, or imports them, does not use up what its address may read.
 */
function countedAs(identity: Identity, request: HttpRequest, isBulk: boolean): string | undefined {
  if (identity.isOpen) return isBulk ? `bulk ${byAddress(request)}` : nameOf(identity, request);
  return mayAdmin(identity) ? undefined : nameOf(identity, request);
}

/** Whom requests of a good token are counted for. No user id and no address holds a space, so the two can't be taken for one another. */
function nameOf({ user }: Identity, request: HttpRequest): string {
  return user === null ? byAddress(request) : `user ${user}`;
}

function byAddress({ remoteAddress }: HttpRequest): string {
  return `address ${neighbourhoodOf(remoteAddress)}`;
}
