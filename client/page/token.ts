/**
 * The page's token, for a hub that asks for one: out of the address's fragment, which no server sees and which is removed
 * at once, or out of the form; kept in this tab alone, over reloads. Says nothing and sends nothing. Called by page.
 */

const KEY = 'presence-hub token';
let token: string | undefined = recall();
takeFromFragment();

export function currentToken(): string | undefined {
  return token;
}

export function setToken(given: string | undefined): void {
  token = given;
  // A browser may forbid storage: then the token lives as long as the page.
  try {
    if (given === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, given);
  } catch {
    return;
  }
}

/** `#token=…` in the address: kept, and out of sight. @returns whether there was one. */
export function takeFromFragment(): boolean {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')?.trim() ?? '';
  if (given === '') return false;
  history.replaceState(null, '', location.pathname + location.search);
  setToken(given);
  return true;
}

function recall(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}
