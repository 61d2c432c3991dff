/**
 * Whom a connection's tokens let in. A token is verified aside, while the connection goes on: the frames of that user wait
 * for the verdict, in order, and no other's do. A grant holds until its token runs out, whatever becomes of the session.
 * Keeps digests; a token only while it is undecided, since a client sends it once. Knows neither sockets nor sessions.
 */
import { createHash } from 'node:crypto';
import type { RefusalReason } from '../../../shared/reasons.ts';
import type { Authenticator, Undecided, Verdict } from '../../auth/authenticator.ts';
import { mayClaim } from '../../auth/policy.ts';
import type { Clock } from '../../lib/clock.ts';
import type { FrameEncoding } from './charset.ts';
import type { Heartbeat } from './decode.ts';

export type TokenRefusal = Extract<RefusalReason, 'unauthenticated' | 'forbidden' | 'unavailable'>;

interface GrantsOptions {
  readonly authenticator: Authenticator;
  /** The client's. */
  readonly address: string;
  readonly clock: Clock;
  /** The frame counts. */
  readonly onGranted: (heartbeat: Heartbeat, seen: FrameEncoding) => void;
  readonly onRefused: (reason: TokenRefusal, seen: FrameEncoding) => void;
  /** A fresh token was no good, where the one before still holds. */
  readonly onBadRenewal: (reason: TokenRefusal) => void;
  /** A token is verified: that takes a while, in this turn. */
  readonly onVerify: () => void;
  /** It was verified, and lets nobody in. */
  readonly onFutile: () => void;
  /** The user's token ran out. */
  readonly onRunOut: (user: string) => void;
  /** A verdict was applied, and all that waited for it. */
  readonly onSettled: () => void;
}

interface Grant {
  /** By the wall clock; Infinity for never. */
  readonly expiresAt: number;
  /** The last token that was judged, good or bad: the same one is not verified anew with each frame. */
  readonly judged: string;
}

interface Waiting {
  readonly heartbeat: Heartbeat;
  readonly seen: FrameEncoding;
  readonly digest: string | undefined;
}

interface Check {
  readonly token: string;
  readonly digest: string;
  readonly waiting: Waiting[];
  /** The last of the fresh tokens that came meanwhile, for a user who was in: its turn is after this one. */
  next?: { readonly token: string; readonly digest: string };
}

/**
 * Users whose token is being verified. A gateway that comes back brings thousands within a moment, and what is taken from
 * its socket faster than it is verified (160 µs each) only waits in memory, and before everybody else's.
 */
const MAX_CHECKS = 128;
/** Frames of one user that wait for a verdict: it takes a millisecond, or an issuer's answer. */
const MAX_WAITING = 4;
/** Undecided tokens that are kept, in characters, the latest ones. Other users have to send theirs again. */
const MAX_UNDECIDED_CHARS = 256 * 1024;

/** A token that could not be judged. Frames of its user have it judged again, after a while. */
interface UndecidedToken {
  readonly token: string;
  readonly digest: string;
  /** Not to be judged again before this monotonic time. */
  readonly retryAt: number;
}

export class TokenGate {
  readonly #options: GrantsOptions;
  readonly #granted = new Map<string, Grant>();
  readonly #checks = new Map<string, Check>();
  readonly #undecided = new Map<string, UndecidedToken>();
  #undecidedChars = 0;
  #nextExpiryAt = Infinity;
  #isClosed = false;

  constructor(options: GrantsOptions) {
    this.#options = options;
  }

  /** As many tokens are being verified as may be: frames had better wait. */
  get isFull(): boolean {
    return this.#checks.size >= MAX_CHECKS;
  }

  /** Few enough are, to go on after it was full. */
  get hasRoom(): boolean {
    return this.#checks.size <= MAX_CHECKS / 2;
  }

  /** Verdicts are still to come. */
  get isChecking(): boolean {
    return this.#checks.size > 0;
  }

  /** When the next token may run out, by the wall clock; Infinity for never. */
  get nextExpiryAt(): number {
    return this.#nextExpiryAt;
  }

  /** Whether a frame of that user that brings no token counts, here and now, and has nothing else to set off. */
  lets(user: string): boolean {
    return this.#grantOf(user) !== undefined && !this.#undecided.has(user);
  }

  /** Judges a frame, now or when the verdict is there. */
  take(heartbeat: Heartbeat, seen: FrameEncoding): void {
    const { user } = heartbeat;
    const kept = this.#undecided.get(user);
    const token = heartbeat.token ?? kept?.token;
    const digest = heartbeat.token === undefined ? kept?.digest : digestOf(heartbeat.token);
    const mayJudge = digest !== kept?.digest || this.#options.clock.now().monoMs >= (kept?.retryAt ?? 0);
    const check = this.#checks.get(user);
    const grant = this.#grantOf(user);
    if (grant !== undefined) {
      if (token !== undefined && digest !== undefined && digest !== grant.judged && mayJudge) {
        this.#renew(user, token, digest);
      }
      this.#options.onGranted(heartbeat, seen);
    } else if (check !== undefined) {
      addWaiting(check.waiting, { heartbeat, seen, digest });
    } else if (token === undefined || digest === undefined) {
      this.#options.onRefused('unauthenticated', seen);
    } else if (!mayJudge || !this.#verify(user, { token, digest, waiting: [{ heartbeat, seen, digest }] })) {
      this.#options.onRefused('unavailable', seen);
    }
  }

  /** Ends the grants whose token has run out. */
  expire(wallMs: number): void {
    if (wallMs < this.#nextExpiryAt) return;
    let next = Infinity;
    for (const [user, { expiresAt }] of this.#granted) {
      if (wallMs < expiresAt) next = Math.min(next, expiresAt);
      else this.#runOut(user);
    }
    this.#nextExpiryAt = next;
  }

  /** The connection is over: whatever verdict is still to come changes nothing. */
  close(): void {
    this.#isClosed = true;
    this.#checks.clear();
    this.#granted.clear();
    this.#undecided.clear();
  }

  /** Has a fresh token judged, while the one before still holds. */
  #renew(user: string, token: string, digest: string): void {
    const check = this.#checks.get(user);
    if (check === undefined) {
      if (!this.#verify(user, { token, digest, waiting: [] })) this.#options.onBadRenewal('unavailable');
    } else if (digest !== check.digest) {
      check.next = { token, digest };
    }
  }

  /** False where too many are being verified. */
  #verify(user: string, check: Check): boolean {
    if (this.#checks.size >= MAX_CHECKS) return false;
    this.#checks.set(user, check);
    this.#options.onVerify();
    const { authenticator, address } = this.#options;
    void authenticator.verify(check.token, address).then((verdict) => {
      if (!this.#isClosed) this.#settle(user, check, verdict);
    });
    return true;
  }

  #settle(user: string, { token, digest, waiting, next }: Check, verdict: Verdict): void {
    this.#checks.delete(user);
    this.#forget(user);
    const refusal = refusalOf(verdict, user);
    if (refusal !== undefined) this.#options.onFutile();
    if (!verdict.ok && verdict.kind === 'unavailable' && next === undefined) this.#keepUndecided(user, token, verdict);
    if (verdict.ok && refusal === undefined) {
      // Also where the one before ran out in this moment: that costs the user nothing any more.
      const heldUntil = this.#granted.get(user)?.expiresAt ?? 0;
      this.#grant(user, digest, Math.max(verdict.identity.expiresAtMs ?? Infinity, heldUntil));
    } else if (refusal !== undefined) {
      this.#keep(user, digest, refusal);
    }
    if (next !== undefined) this.#verify(user, { ...next, waiting: [] });
    for (const frame of waiting) {
      if (this.#isClosed) return; // one of them may have ended the connection
      // What comes behind another token is that one's.
      const isOfVerdict = frame.digest === digest || (frame.digest === undefined && !this.#checks.has(user));
      if (refusal !== undefined && isOfVerdict) this.#options.onRefused(refusal, frame.seen);
      else this.take(frame.heartbeat, frame.seen);
    }
    this.#options.onSettled();
  }

  #keepUndecided(user: string, token: string, { retryInMs }: Undecided): void {
    for (const oldest of this.#undecided.keys()) {
      if (this.#undecidedChars + token.length <= MAX_UNDECIDED_CHARS) break;
      this.#forget(oldest);
    }
    this.#undecidedChars += token.length;
    const retryAt = this.#options.clock.now().monoMs + retryInMs;
    this.#undecided.set(user, { token, digest: digestOf(token), retryAt });
  }

  #forget(user: string): void {
    this.#undecidedChars -= this.#undecided.get(user)?.token.length ?? 0;
    this.#undecided.delete(user);
  }

  /** A fresh token was no good: what the one before gave stays, until it runs out. */
  #keep(user: string, digest: string, refusal: TokenRefusal): void {
    const held = this.#grantOf(user);
    if (held === undefined) return;
    if (refusal !== 'unavailable') this.#granted.set(user, { ...held, judged: digest });
    this.#options.onBadRenewal(refusal);
  }

  #grant(user: string, judged: string, expiresAt: number): void {
    this.#granted.set(user, { expiresAt, judged });
    this.#nextExpiryAt = Math.min(this.#nextExpiryAt, expiresAt);
  }

  #grantOf(user: string): Grant | undefined {
    const grant = this.#granted.get(user);
    if (grant === undefined || this.#options.clock.now().wallMs < grant.expiresAt) return grant;
    this.#runOut(user);
    return undefined;
  }

  #runOut(user: string): void {
    this.#granted.delete(user);
    this.#options.onRunOut(user);
  }
}

function refusalOf(verdict: Verdict, user: string): TokenRefusal | undefined {
  if (!verdict.ok) return verdict.kind === 'unavailable' ? 'unavailable' : 'unauthenticated';
  return mayClaim(verdict.identity, user) ? undefined : 'forbidden';
}

/** The last word counts, and no goodbye is lost for a heartbeat's sake. */
function addWaiting(waiting: Waiting[], frame: Waiting): void {
  if (waiting.length >= MAX_WAITING) {
    const beat = waiting.findIndex(({ heartbeat }) => heartbeat.state > 0);
    waiting.splice(Math.max(beat, 0), 1);
  }
  waiting.push(frame);
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
