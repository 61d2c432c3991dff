/**
 * Decides which users a connection's tokens authorize. Verification runs in the background. While a user's token is
 * being verified, the heartbeats of that user wait in order, and those of other users do not. A grant is valid until its
 * token expires, even if the session ends. Of a token that was judged, only the digest is kept. Knows neither sockets
 * nor sessions.
 */
import { createHash } from 'node:crypto';
import type { RefusalReason } from '../../../shared/reasons.ts';
import type { Authenticator, Verdict } from '../../auth/authenticator.ts';
import { mayClaim } from '../../auth/policy.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { FrameEncoding } from './frames/charset.ts';
import type { Heartbeat } from './frames/decode.ts';
import { UndecidedTokens, type Token } from './undecided-tokens.ts';

export type TokenRefusal = Extract<RefusalReason, 'unauthenticated' | 'forbidden' | 'unavailable'>;

interface TokenGateOptions {
  readonly authenticator: Authenticator;
  /** Address of the client. */
  readonly address: string;
  readonly clock: Clock;
  /** The heartbeat is authorized. */
  readonly onGranted: (heartbeat: Heartbeat, encoding: FrameEncoding) => void;
  readonly onRefused: (reason: TokenRefusal, encoding: FrameEncoding) => void;
  /** A fresh token was rejected. The previous one is still valid. */
  readonly onRenewalRefused: (reason: TokenRefusal) => void;
  /** Verification of a token begins. It costs time in this turn of the loop. */
  readonly onVerify: () => void;
  /** A verification ended without authorizing the user. */
  readonly onNotAuthorized: () => void;
  /** The user's token expired. */
  readonly onExpired: (user: string) => void;
  /** A verdict was applied, and so were all heartbeats that waited for it. */
  readonly onSettled: () => void;
}

interface Grant {
  /** Wall-clock time; Infinity for never. */
  readonly expiresAt: number;
  /** Digest of the last token that was judged, good or bad. The same token is not verified again with each frame. */
  readonly judged: string;
}

interface WaitingHeartbeat {
  readonly heartbeat: Heartbeat;
  readonly encoding: FrameEncoding;
  /** Digest of its token. Undefined if it came without one. */
  readonly digest: string | undefined;
}

interface Verification {
  readonly token: Token;
  readonly waiting: WaitingHeartbeat[];
  /** The last fresh token that arrived meanwhile, for a user with a grant. It is verified after this one. */
  next?: Token;
}

/**
 * Maximum users whose token is being verified. A gateway that reconnects brings thousands at once. Verifying one takes
 * 160 µs. Tokens that are read faster than they are verified only wait in memory, ahead of those of other connections.
 */
const MAX_VERIFICATIONS = 128;
/** Maximum heartbeats of one user that wait for a verdict. It takes a millisecond, or one answer of the issuer. */
const MAX_WAITING = 4;

export class TokenGate {
  readonly #options: TokenGateOptions;
  readonly #grants = new Map<string, Grant>();
  readonly #verifications = new Map<string, Verification>();
  readonly #undecided = new UndecidedTokens();
  /** Wall-clock time. */
  #nextExpiryAt = Infinity;
  #isClosed = false;

  constructor(options: TokenGateOptions) {
    this.#options = options;
  }

  /** The verification limit is reached: stop reading. */
  get isFull(): boolean {
    return this.#verifications.size >= MAX_VERIFICATIONS;
  }

  /** After the limit was reached, enough verifications have ended to read again. */
  get isHalfEmpty(): boolean {
    return this.#verifications.size <= MAX_VERIFICATIONS / 2;
  }

  get isVerifying(): boolean {
    return this.#verifications.size > 0;
  }

  /** Monotonic time when the next token may expire, as far as is known now; Infinity for never. */
  get nextExpiryAt(): number {
    if (this.#nextExpiryAt === Infinity) return Infinity;
    const { monoMs, wallMs } = this.#options.clock.now();
    return monoMs + Math.max(this.#nextExpiryAt - wallMs, 0);
  }

  /** Whether a heartbeat of that user without a token is authorized right now and triggers no verification. */
  allows(user: string): boolean {
    return this.#grantOf(user) !== undefined && !this.#undecided.has(user);
  }

  /** Judges a heartbeat at once, or when its verdict arrives. */
  take(heartbeat: Heartbeat, encoding: FrameEncoding): void {
    const { user } = heartbeat;
    const token = heartbeat.token === undefined ? this.#undecided.get(user)?.token : tokenOf(heartbeat.token);
    const frame = { heartbeat, encoding, digest: token?.digest };
    const verification = this.#verifications.get(user);
    const grant = this.#grantOf(user);
    if (grant !== undefined) {
      if (token !== undefined && token.digest !== grant.judged && this.#mayVerify(user, token)) {
        this.#renew(user, token);
      }
      this.#options.onGranted(heartbeat, encoding);
    } else if (verification !== undefined) {
      addWaiting(verification.waiting, frame);
    } else if (token === undefined) {
      this.#options.onRefused('unauthenticated', encoding);
    } else if (!this.#mayVerify(user, token) || !this.#verify(user, { token, waiting: [frame] })) {
      this.#options.onRefused('unavailable', encoding);
    }
  }

  /** Ends the grants whose tokens have expired. */
  expire(): void {
    const { wallMs } = this.#options.clock.now();
    if (wallMs < this.#nextExpiryAt) return;
    let next = Infinity;
    for (const [user, { expiresAt }] of this.#grants) {
      if (wallMs < expiresAt) next = Math.min(next, expiresAt);
      else this.#endGrant(user);
    }
    this.#nextExpiryAt = next;
  }

  /** Ends the gate with its connection. Pending verdicts change nothing after that. */
  close(): void {
    this.#isClosed = true;
    this.#verifications.clear();
    this.#grants.clear();
    this.#undecided.clear();
  }

  /** A token that could not be judged is not judged again at once. */
  #mayVerify(user: string, token: Token): boolean {
    const undecided = this.#undecided.get(user);
    if (undecided?.token.digest !== token.digest) return true;
    return this.#options.clock.now().monoMs >= undecided.retryAt;
  }

  /** Verifies a fresh token while the previous one is still valid. */
  #renew(user: string, token: Token): void {
    const verification = this.#verifications.get(user);
    if (verification === undefined) {
      if (!this.#verify(user, { token, waiting: [] })) this.#options.onRenewalRefused('unavailable');
    } else if (token.digest !== verification.token.digest) {
      verification.next = token;
    }
  }

  /** @returns false if too many tokens are being verified. */
  #verify(user: string, verification: Verification): boolean {
    if (this.isFull) return false;
    this.#verifications.set(user, verification);
    this.#options.onVerify();
    const { authenticator, address } = this.#options;
    void authenticator.verify(verification.token.text, address).then((verdict) => {
      if (!this.#isClosed) this.#settle(user, verification, verdict);
    });
    return true;
  }

  #settle(user: string, { token, waiting, next }: Verification, verdict: Verdict): void {
    this.#verifications.delete(user);
    this.#undecided.delete(user);
    const refusal = refusalOf(verdict, user);
    if (refusal !== undefined) this.#options.onNotAuthorized();
    if (!verdict.ok && verdict.kind === 'unavailable' && next === undefined) {
      this.#undecided.add(user, token, this.#options.clock.now().monoMs + verdict.retryInMs);
    }
    if (verdict.ok && refusal === undefined) this.#grant(user, token, verdict.identity.expiresAtMs ?? Infinity);
    else if (refusal !== undefined) this.#refuseRenewal(user, token, refusal);
    if (next !== undefined) this.#verify(user, { token: next, waiting: [] });
    for (const { heartbeat, encoding, digest } of waiting) {
      if (this.#isClosed) return; // one of the heartbeats may have ended the connection
      // A heartbeat that followed another token waits for the verdict on that token.
      const isOfVerdict = digest === token.digest || (digest === undefined && !this.#verifications.has(user));
      if (refusal !== undefined && isOfVerdict) this.#options.onRefused(refusal, encoding);
      else this.take(heartbeat, encoding);
    }
    this.#options.onSettled();
  }

  #grant(user: string, { digest }: Token, expiresAt: number): void {
    // The user loses nothing, even if the previous grant expired at this moment.
    const latest = Math.max(expiresAt, this.#grants.get(user)?.expiresAt ?? 0);
    this.#grants.set(user, { expiresAt: latest, judged: digest });
    this.#nextExpiryAt = Math.min(this.#nextExpiryAt, latest);
  }

  /** If the user has a grant, it stays until it expires. */
  #refuseRenewal(user: string, { digest }: Token, refusal: TokenRefusal): void {
    const grant = this.#grantOf(user);
    if (grant === undefined) return;
    if (refusal !== 'unavailable') this.#grants.set(user, { ...grant, judged: digest });
    this.#options.onRenewalRefused(refusal);
  }

  /** The user's grant, unless its token has expired. */
  #grantOf(user: string): Grant | undefined {
    const grant = this.#grants.get(user);
    if (grant === undefined || this.#options.clock.now().wallMs < grant.expiresAt) return grant;
    this.#endGrant(user);
    return undefined;
  }

  #endGrant(user: string): void {
    this.#grants.delete(user);
    this.#options.onExpired(user);
  }
}

function refusalOf(verdict: Verdict, user: string): TokenRefusal | undefined {
  if (!verdict.ok) return verdict.kind === 'unavailable' ? 'unavailable' : 'unauthenticated';
  return mayClaim(verdict.identity, user) ? undefined : 'forbidden';
}

/** Keeps the latest heartbeats. If full, drops the oldest that is no goodbye, so that no goodbye is lost for it. */
function addWaiting(waiting: WaitingHeartbeat[], frame: WaitingHeartbeat): void {
  if (waiting.length >= MAX_WAITING) {
    const droppable = waiting.findIndex(({ heartbeat }) => heartbeat.state > 0);
    waiting.splice(Math.max(droppable, 0), 1);
  }
  waiting.push(frame);
}

function tokenOf(text: string): Token {
  return { text, digest: createHash('sha256').update(text).digest('base64') };
}
