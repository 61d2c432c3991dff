/**
 * The tokens of one connection that could not be judged, one for each user. They are kept because a client sends its
 * token once. Bounded in size: the latest ones are kept, and other users must send their tokens again.
 */

/** A token and its digest, by which it is recognized. */
export interface Token {
  readonly text: string;
  readonly digest: string;
}

interface UndecidedToken {
  readonly token: Token;
  /** Monotonic time before which the token is not judged again. */
  readonly retryAt: number;
}

const MAX_CHARS = 256 * 1024;

export class UndecidedTokens {
  readonly #tokens = new Map<string, UndecidedToken>();
  #chars = 0;

  get(user: string): UndecidedToken | undefined {
    return this.#tokens.get(user);
  }

  has(user: string): boolean {
    return this.#tokens.has(user);
  }

  /** The user must have none. */
  add(user: string, token: Token, retryAt: number): void {
    for (const oldest of this.#tokens.keys()) {
      if (this.#chars + token.text.length <= MAX_CHARS) break;
      this.delete(oldest);
    }
    this.#chars += token.text.length;
    this.#tokens.set(user, { token, retryAt });
  }

  delete(user: string): void {
    this.#chars -= this.#tokens.get(user)?.token.text.length ?? 0;
    this.#tokens.delete(user);
  }

  clear(): void {
    this.#tokens.clear();
    this.#chars = 0;
  }
}
