/**
 * The page's token, for a hub that asks for one: out of the address's fragment, which no server sees and which is removed
 * at once, or out of the form; kept in this tab alone, over reloads. Says nothing and sends nothing itself.
 */
import { isUserId } from './user-id.ts';

const KEY = 'presence-hub token';
let token: string | undefined = recall();
const waiting = new Set<(token: string) => void>();
const listeners = new Set<(what: { readonly isGiven: boolean }) => void>();
takeFromFragment();
// The address of a page that is open already: nothing is loaded anew.
addEventListener('hashchange', takeFromFragment);

export function currentToken(): string | undefined {
  return token;
}

/** The user that the token names. Undefined for an admin's token, or if it cannot be read. Verifies nothing: the hub does. */
export function userOfToken(): string | undefined {
  try {
    const payload = token?.split('.')[1] ?? '';
    const { sub } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { sub?: unknown };
    return typeof sub === 'string' && isUserId(sub) ? sub : undefined;
  } catch {
    return undefined;
  }
}

/** Whether somebody waits for a token, so that the page should ask for it. */
export function isTokenWanted(): boolean {
  return waiting.size > 0;
}

/** The next token that is given. */
export function nextToken(): Promise<string> {
  return new Promise((resolve) => {
    waiting.add(resolve);
    tell(false);
  });
}

export function giveToken(given: string): void {
  token = given;
  // A browser may forbid storage: then the token lives as long as the page.
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Nothing to do: it is in memory.
  }
  for (const resolve of waiting) resolve(given);
  waiting.clear();
  tell(true);
}

/** Told when a token is wanted, and when one was given. */
export function onToken(listener: (what: { readonly isGiven: boolean }) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function tell(isGiven: boolean): void {
  for (const listener of listeners) listener({ isGiven });
}

/** `#token=…` in the address: kept, and out of sight. */
function takeFromFragment(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')?.trim() ?? '';
  if (given === '') return;
  history.replaceState(null, '', location.pathname + location.search);
  giveToken(given);
}

function recall(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}
