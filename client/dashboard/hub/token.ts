/**
 * The operator's token: given in the form or in the address's fragment, which no server sees and which is removed at once;
 * kept in this tab alone, over reloads. Not the friend page's token. Says nothing and sends nothing. Called by access.
 */

const KEY = 'presence-hub admin token';

export function recallToken(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    // A browser may forbid storage: then the token lives as long as the page.
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

/** `#token=…` in the address, taken out of sight. */
export function takeTokenFromAddress(): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')?.trim() ?? '';
  if (given === '') return undefined;
  history.replaceState(null, '', location.pathname + location.search);
  return given;
}
