/**
 * Decides whether this page may send requests to the hub: with a token, without, or only after the operator gives one.
 * An open hub needs none, so the page asks only after a refusal, and shows the reason. The only holder of the token.
 */
import { createSignal, type Signal } from '../signal.ts';
import { keepToken, recallToken, takeTokenFromAddress } from './token.ts';

export type AccessState =
  /** Unknown: no answer has arrived. */
  { readonly kind: 'trying' } | { readonly kind: 'let in' } | { readonly kind: 'asking'; readonly why: string };

export class Access {
  readonly state: Signal<AccessState> = createSignal<AccessState>({ kind: 'trying' });
  #token = takeTokenFromAddress() ?? recallToken();

  get token(): string | undefined {
    return this.#token;
  }

  /** Whether requests may be sent. They may not while the page asks for a token. */
  get mayAsk(): boolean {
    return this.state.get().kind !== 'asking';
  }

  give(token: string): void {
    this.#token = token;
    this.state.set({ kind: 'trying' });
  }

  /** Records an answer that the hub gives to operators only. Only then is the token stored. */
  letIn(): void {
    if (this.state.get().kind === 'let in') return;
    keepToken(this.#token);
    this.state.set({ kind: 'let in' });
  }

  /** @param token the refused one: a late answer must not remove a newer token. */
  refuse(token: string | undefined, status: 401 | 403, detail: string): void {
    if (token !== this.#token || !this.mayAsk) return;
    this.#token = undefined;
    keepToken(undefined);
    this.state.set({ kind: 'asking', why: explainRefusal(token !== undefined, status, detail) });
  }

  leave(): void {
    this.#token = undefined;
    keepToken(undefined);
    this.state.set({ kind: 'asking', why: 'You are signed out. This tab no longer has the token.' });
  }
}

function explainRefusal(hadToken: boolean, status: 401 | 403, detail: string): string {
  if (!hadToken) return 'Sign in with the admin token of this hub, or with a token that has the scope admin.';
  const what =
    status === 401 ? 'The hub rejected this token' : 'This token is valid, but does not have the scope admin';
  return detail === '' ? `${what}.` : `${what}: ${detail}`;
}
