/**
 * Stores the operator's token, which comes from the form or from the address's fragment. No server sees the fragment,
 * and it is removed at once. The token stays in this tab only, across reloads. It is separate from the friend page's
 * token.
 */

const KEY = 'presence-hub admin token';

export function recallToken(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    // If the browser forbids storage, the token lives as long as the page.
    return undefined;
  }
}

export function keepToken(token: string | undefined): void {
  try {
    if (token === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    return;
  }
}

/** Takes `#token=…` out of the address. */
export function takeTokenFromAddress(): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')?.trim() ?? '';
  if (given === '') return undefined;
  history.replaceState(null, '', location.pathname + location.search);
  return given;
}
