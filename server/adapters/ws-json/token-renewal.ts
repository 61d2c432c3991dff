/**
 * Fresh tokens on a connection that goes on meanwhile: one is checked at a time, one may wait, and a later one takes the
 * place of the one that waits. Decides nothing; welcomed.ts does, with the verdict.
 */
import type { MessageId } from '../../../shared/client-messages.ts';
import type { Authenticator, Verdict } from '../../auth/authenticator.ts';

export interface FreshToken {
  readonly token: string;
  readonly id?: MessageId | undefined;
}

interface TokenRenewalOptions {
  readonly authenticator: Authenticator;
  readonly onVerdict: (verdict: Verdict, id: MessageId | undefined) => void;
  /** A later one came before it was looked at. */
  readonly onReplaced: (id: MessageId | undefined) => void;
}

export class TokenRenewal {
  readonly #options: TokenRenewalOptions;
  #isVerifying = false;
  #next: FreshToken | null = null;

  constructor(options: TokenRenewalOptions) {
    this.#options = options;
  }

  check(fresh: FreshToken): void {
    if (!this.#isVerifying) {
      this.#verify(fresh);
      return;
    }
    if (this.#next !== null) this.#options.onReplaced(this.#next.id);
    this.#next = fresh;
  }

  /** The connection is over: what waits is not looked at any more. */
  stop(): void {
    this.#next = null;
  }

  #verify({ token, id }: FreshToken): void {
    const { authenticator, onVerdict } = this.#options;
    this.#isVerifying = true;
    void authenticator.verify(token).then((verdict) => {
      this.#isVerifying = false;
      onVerdict(verdict, id);
      const next = this.#next;
      this.#next = null;
      if (next !== null) this.#verify(next);
    });
  }
}
