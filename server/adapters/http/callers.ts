/**
 * Identifies the caller of a request from its bearer token and checks the caller's rate, or returns the refusal. The
 * refusal never says why a token is bad. What an identity may do is decided in auth/policy.ts.
 */
import type { RefusalReason } from '../../../shared/reasons.ts';
import {
  readBearer,
  REFUSAL,
  UNDECIDED,
  type Authenticator,
  type Undecided,
  type Verdict,
} from '../../auth/authenticator.ts';
import { neighbourhoodOf } from '../../auth/cidrs.ts';
import type { Identity } from '../../auth/identity.ts';
import { mayAdmin, mayReadMetrics } from '../../auth/policy.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { ExplainRefusal } from '../../lib/log/refusal-log.ts';
import type { Rate } from '../../lib/time/token-bucket.ts';
import type { HttpReply, HttpRequest } from '../../sockets/port.ts';
import { CallerRates } from './caller-rates.ts';
import { LongRequests } from './long-requests.ts';
import { problem, tooMany } from './reply.ts';
import type { Reply } from './route.ts';

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

export class Callers {
  readonly #options: CallersOptions;
  readonly #rates: CallerRates;
  readonly #long = new LongRequests();

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#rates = new CallerRates(options.messages, options.clock);
  }

  /** Returns synchronously if no token must be verified, so that uWebSockets.js serves pipelined requests. */
  identify(request: HttpRequest, isBulk: boolean): Caller | Promise<Caller> {
    const { authenticator, explainRefusal } = this.#options;
    const { withoutToken } = authenticator;
    // If every caller may do everything, a token can add nothing, so none is verified.
    if (withoutToken !== null && mayAdmin(withoutToken) && mayReadMetrics(withoutToken))
      return this.#admit(withoutToken, request, isBulk);
    const token = readBearer(request.headers.get('authorization'));
    if (token !== undefined) {
      const verified = authenticator.verify(token, request.remoteAddress);
      return verified.then((verdict) => this.#judge(verdict, request, isBulk));
    }
    if (withoutToken !== null) return this.#admit(withoutToken, request, isBulk);
    explainRefusal(
      'missing',
      'request without a token: HUB_AUTH=jwt requires the header “Authorization: Bearer TOKEN”',
    );
    return { ok: false, reply: this.#overRefusalRate(request) ?? this.#unauthenticated() };
  }

  /**
   * Charges what a request costs beyond one unit. A caller that was within its rate may get into debt, so that its
   * later requests wait.
   */
  charge(identity: Identity, request: HttpRequest, isBulk: boolean, units: number): void {
    const caller = countedAs(identity, request, isBulk);
    if (caller !== undefined) this.#rates.take(caller, units);
  }

  /** Refuses a request that has waited since it was admitted, if others have put its caller into debt meanwhile. */
  refuseInDebt(identity: Identity, request: HttpRequest, isBulk: boolean): HttpReply | undefined {
    const caller = countedAs(identity, request, isBulk);
    return caller === undefined ? undefined : this.#inDebt(caller);
  }

  /** Answers a request whose cost is known only once it has begun. See `LongRequests`. */
  runLong(identity: Identity, request: HttpRequest, isBulk: boolean, answer: () => Reply): Reply {
    const caller = countedAs(identity, request, isBulk);
    return caller === undefined ? answer() : this.#long.run(caller, answer, () => this.#inDebt(caller));
  }

  /** Refuses a caller that lacks permission. A caller without a token is asked for one. */
  refuse(identity: Identity): HttpReply {
    const { authenticator, explainRefusal, onRefused } = this.#options;
    if (identity === authenticator.withoutToken) {
      const lacks = mayAdmin(identity)
        ? 'HUB_METRICS_TOKEN was rejected: the metrics require it'
        : 'HUB_ADMIN_TOKEN was rejected: only an admin may do this';
      explainRefusal('admin', `a request without ${lacks}`);
      return this.#unauthenticated();
    }
    onRefused('forbidden');
    explainRefusal('forbidden', 'request rejected: the sub and scope of its token do not allow it', {
      sub: identity.user ?? 'no user',
      scope: [...identity.scopes].join(' '),
    });
    return problem('forbidden', 'authorization: the token does not allow this');
  }

  #admit(identity: Identity, request: HttpRequest, isBulk: boolean): Caller {
    const caller = countedAs(identity, request, isBulk);
    const reply = caller === undefined ? undefined : this.#overRate(caller, request, identity.isOpen && isBulk ? 0 : 1);
    return reply === undefined ? { ok: true, identity } : { ok: false, reply };
  }

  #judge(verdict: Verdict, request: HttpRequest, isBulk: boolean): Caller {
    if (verdict.ok) return this.#admit(verdict.identity, request, isBulk);
    const limited = verdict.fault === 'busy' ? undefined : this.#overRefusalRate(request);
    if (limited !== undefined) return { ok: false, reply: limited };
    if (verdict.kind === 'refused') return { ok: false, reply: this.#unauthenticated() };
    this.#options.onRefused(verdict.fault === 'busy' ? 'messages' : 'unavailable');
    return { ok: false, reply: undecided(verdict) };
  }

  /** Refuses a caller that exceeds its rate. */
  #overRate(caller: string, { body }: HttpRequest, units = 1): HttpReply | undefined {
    const waitMs = this.#rates.take(caller, units);
    if (waitMs > 0) return this.#overBy(waitMs);
    if (body.length >= BODY_CHARS_PER_UNIT) this.#rates.take(caller, Math.floor(body.length / BODY_CHARS_PER_UNIT));
    return undefined;
  }

  /** Counted separately, so that a caller with a good token does not pay for others at its address. */
  #overRefusalRate(request: HttpRequest): HttpReply | undefined {
    return this.#overRate(`refused ${byAddress(request)}`, request);
  }

  #inDebt(caller: string): HttpReply | undefined {
    const waitMs = this.#rates.debtMs(caller);
    return waitMs === 0 ? undefined : this.#overBy(waitMs);
  }

  #overBy(waitMs: number): HttpReply {
    this.#options.onRefused('messages');
    return tooMany('rate_limited', 'requests: too many in a short time; this one had no effect: slow down', waitMs);
  }

  #unauthenticated(): HttpReply {
    this.#options.onRefused('unauthenticated');
    return problem('unauthenticated', `authorization: ${REFUSAL}`, { 'www-authenticate': 'Bearer' });
  }
}

function undecided({ fault, retryInMs }: Undecided): HttpReply {
  const detail = `authorization: ${UNDECIDED[fault]}`;
  if (fault === 'busy') return tooMany('rate_limited', detail, retryInMs);
  return problem('unavailable', detail, { 'retry-after': String(Math.ceil(retryInMs / 1000)) });
}

/** A body costs one more unit for each group of this many characters, because parsing ten thousand ids takes time. */
const BODY_CHARS_PER_UNIT = 4096;

/**
 * Returns the name under which a request is counted; undefined for an admin's token, which is trusted. In open mode,
 * bulk work is counted separately and by its size only, so that a script that adds or imports friends does not use up
 * the rate of other requests of its address.
 */
function countedAs(identity: Identity, request: HttpRequest, isBulk: boolean): string | undefined {
  if (identity.isOpen) return isBulk ? `bulk ${byAddress(request)}` : nameOf(identity, request);
  return mayAdmin(identity) ? undefined : nameOf(identity, request);
}

/**
 * Returns the name under which requests with a good token are counted. Neither a user id nor an address contains a
 * space, so the two kinds of names cannot collide.
 */
function nameOf({ user }: Identity, request: HttpRequest): string {
  return user === null ? byAddress(request) : `user ${user}`;
}

function byAddress({ remoteAddress }: HttpRequest): string {
  return `address ${neighbourhoodOf(remoteAddress)}`;
}
