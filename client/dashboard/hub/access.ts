/**
 * May this page ask the hub: with which token, or is one wanted first. An open hub is asked without one and nobody is
 * bothered; a refusal asks again and says why. The only holder of the token. Called by calls, the tail and the form.
 */
import { createSignal, type Signal } from '../signal.ts';
import { keepToken, recallToken, takeTokenFromAddress } from './token.ts';

export type AccessState =
  /** Not known yet: nobody has answered. */
  { readonly kind: 'trying' } | { readonly kind: 'let in' } | { readonly kind: 'asking'; readonly why: string };

export class Access {
  readonly state: Signal<AccessState> = createSignal<AccessState>({ kind: 'trying' });
  #token = takeTokenFromAddress() ?? recallToken();

  get token(): string | undefined {
    return this.#token;
  }

  /** Whether requests may go out: not while somebody has to give a token first. */
  get mayAsk(): boolean {
    return this.state.get().kind !== 'asking';
  }

  give(token: string): void {
    this.#token = token;
    this.state.set({ kind: 'trying' });
  }

  /** An answer came that the hub gives to operators alone: only now is the token worth keeping. */
  letIn(): void {
    if (this.state.get().kind === 'let in') return;
    keepToken(this.#token);
    this.state.set({ kind: 'let in' });
  }

  /** @param token the one that was refused: a late answer must not take a newer one away. */
  refuse(token: string | undefined, status: 401 | 403, detail: string): void {
    if (token !== this.#token || !this.mayAsk) return;
    this.#token = undefined;
    keepToken(undefined);
    this.state.set({ kind: 'asking', why: explainRefusal(token !== undefined, status, detail) });
  }

  leave(): void {
    this.#token = undefined;
    keepToken(undefined);
    this.state.set({ kind: 'asking', why: 'You have left. The token is forgotten.' });
  }
}

function explainRefusal(hadToken: boolean, status: 401 | 403, detail: string): string {
  if (!hadToken) return 'This hub wants to know who asks: give its admin token, or a token with the scope admin.';
  const what = status === 401 ? 'The hub does not accept this token' : 'This token is good, but not an operator’s';
  return detail === '' ? `${what}.` : `${what}: ${detail}`;
}
