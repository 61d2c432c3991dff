/**
 * Decides which users a connection's tokens authorize. Verification runs in the background. While a user's token is
 * being verified, the frames of that user wait in order, and those of other users do not. A grant is valid until its
 * token expires, even if the session ends. Keeps digests of tokens. Keeps a token itself only while it is undecided,
 * because a client sends it once. Knows neither sockets nor sessions.
 */
import { createHash } from 'node:crypto';
import type { RefusalReason } from '../../../shared/reasons.ts';
import type { Authenticator, Undecided, Verdict } from '../../auth/authenticator.ts';
import { mayClaim } from '../../auth/policy.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { FrameEncoding } from './frames/charset.ts';
import type { Heartbeat } from './frames/decode.ts';

export type TokenRefusal = Extract<RefusalReason, 'unauthenticated' | 'forbidden' | 'unavailable'>;

interface GrantsOptions {
  readonly authenticator: Authenticator;
  /** Address of the client. */
  readonly address: string;
  readonly clock: Clock;
  /** The frame is authorized. */
  readonly onGranted: (heartbeat: Heartbeat, seen: FrameEncoding) => void;
  readonly onRefused: (reason: TokenRefusal, seen: FrameEncoding) => void;
  /** A fresh token was rejected. The previous one is still valid. */
  readonly onBadRenewal: (reason: TokenRefusal) => void;
  /** Verification of a token begins. It costs time in this turn of the loop. */
  readonly onVerify: () => void;
  /** A verification ended without authorizing the user. */
  readonly onFutile: () => void;
  /** The user's token expired. */
  readonly onRunOut: (user: string) => void;
  /** A verdict was applied, and so were all frames that waited for it. */
  readonly onSettled: () => void;
}

interface Grant {
  /** Wall-clock time; Infinity for never. */
  readonly expiresAt: number;
  /**
   * Digest of the last token that was judged, good or bad, so that the same token is not verified again with each
   * frame.
   */
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
  /** The last fresh token that arrived during this check, for a user with a grant. It is verified after this one. */
  next?: { readonly token: string; readonly digest: string };
}

/**
 * Maximum users whose token is being verified. A gateway that reconnects brings thousands at once. Verifying one takes
 * 160 µs. Tokens that are read faster than they are verified only wait in memory, ahead of those of other connections.
 */
const MAX_CHECKS = 128;
/** Maximum frames of one user that wait for a verdict. A verdict takes a millisecond, or one answer of the issuer. */
const MAX_WAITING = 4;
/** Maximum characters of undecided tokens. The latest ones are kept. Other users must send their tokens again. */
const MAX_UNDECIDED_CHARS = 256 * 1024;

/** A token that could not be judged. A later frame of its user triggers another verification after `retryAt`. */
interface UndecidedToken {
  readonly token: string;
  readonly digest: string;
  /** Monotonic time before which the token is not judged again. */
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

  /** The verification limit is reached: hold further frames. */
  get isFull(): boolean {
    return this.#checks.size >= MAX_CHECKS;
  }

  /** After the limit was reached, enough verifications are done to go on. */
  get hasRoom(): boolean {
    return this.#checks.size <= MAX_CHECKS / 2;
  }

  /** Verdicts are pending. */
  get isChecking(): boolean {
    return this.#checks.size > 0;
  }

  /** Wall-clock time when the next token may expire; Infinity for never. */
  get nextExpiryAt(): number {
    return this.#nextExpiryAt;
  }

  /** Whether a frame of that user without a token is authorized right now and triggers no verification. */
  lets(user: string): boolean {
    return this.#grantOf(user) !== undefined && !this.#undecided.has(user);
  }

  /** Judges a frame at once, or when its verdict arrives. */
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

  /** Ends the grants whose tokens have expired. */
  expire(wallMs: number): void {
    if (wallMs < this.#nextExpiryAt) return;
    let next = Infinity;
    for (const [user, { expiresAt }] of this.#granted) {
      if (wallMs < expiresAt) next = Math.min(next, expiresAt);
      else this.#runOut(user);
    }
    this.#nextExpiryAt = next;
  }

  /** Ends the gate with its connection. Pending verdicts change nothing after that. */
  close(): void {
    this.#isClosed = true;
    this.#checks.clear();
    this.#granted.clear();
    this.#undecided.clear();
  }

  /** Verifies a fresh token while the previous one is still valid. */
  #renew(user: string, token: string, digest: string): void {
    const check = this.#checks.get(user);
    if (check === undefined) {
      if (!this.#verify(user, { token, digest, waiting: [] })) this.#options.onBadRenewal('unavailable');
    } else if (digest !== check.digest) {
      check.next = { token, digest };
    }
  }

  /** @returns false if too many tokens are being verified. */
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
      // Correct even if the previous grant expired at this moment: the user loses nothing.
      const heldUntil = this.#granted.get(user)?.expiresAt ?? 0;
      this.#grant(user, digest, Math.max(verdict.identity.expiresAtMs ?? Infinity, heldUntil));
    } else if (refusal !== undefined) {
      this.#keep(user, digest, refusal);
    }
    if (next !== undefined) this.#verify(user, { ...next, waiting: [] });
    for (const frame of waiting) {
      if (this.#isClosed) return; // one of the frames may have ended the connection
      // A frame that followed another token waits for the verdict on that token.
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

  /** A fresh token was rejected: the previous grant stays until it expires. */
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

/** Keeps the latest frames. If full, drops the oldest heartbeat first, so that no goodbye is lost for a heartbeat. */
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
