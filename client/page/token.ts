/**
 * Stores the page's token for a hub that requires one. It comes from the form or from the address's fragment, which no
 * server sees and which is removed at once. It stays in this tab only, across reloads.
 */
import { isUserId } from './user-id.ts';

const KEY = 'presence-hub token';
let token: string | undefined = recall();
const waiting = new Set<(token: string) => void>();
const listeners = new Set<(what: { readonly isGiven: boolean }) => void>();
takeFromFragment();
// Handles a new address of a page that is already open, which loads nothing.
addEventListener('hashchange', takeFromFragment);

export function currentToken(): string | undefined {
  return token;
}

/**
 * Returns the user that the token names; undefined for an admin's token, or if it cannot be read. Verifies nothing,
 * because the hub does.
 */
export function userOfToken(): string | undefined {
  try {
    const payload = token?.split('.')[1] ?? '';
    const { sub } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { sub?: unknown };
    return typeof sub === 'string' && isUserId(sub) ? sub : undefined;
  } catch {
    return undefined;
  }
}

/** Returns whether a request waits for a token, so that the page should ask for it. */
export function isTokenWanted(): boolean {
  return waiting.size > 0;
}

export function nextToken(): Promise<string> {
  return new Promise((resolve) => {
    waiting.add(resolve);
    notify(false);
  });
}

export function giveToken(given: string): void {
  token = given;
  // If the browser forbids storage, the token lives as long as the page.
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Nothing to do: it is in memory.
  }
  for (const resolve of waiting) resolve(given);
  waiting.clear();
  notify(true);
}

/** Notifies the listener when a token is requested, and when one is given. */
export function onToken(listener: (what: { readonly isGiven: boolean }) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function notify(isGiven: boolean): void {
  for (const listener of listeners) listener({ isGiven });
}

/** Stores `#token=…` of the address and removes it from there. */
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
