/** When a token is to be refreshed, where it says when it runs out: a JWT with `exp`. Pure; judges no token. */

/** A minute ahead, and for tokens that live shorter, after four fifths of what is left. */
const AHEAD_MS = 60_000;

/** Milliseconds from now; undefined where nobody can say, or where by this clock it is over already. */
export function refreshInMs(token: string, nowMs: number): number | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/')));
    const leftMs = Number((claims as { exp?: unknown }).exp) * 1000 - nowMs;
    return leftMs > 0 ? Math.max(leftMs - AHEAD_MS, leftMs * 0.8) : undefined;
  } catch {
    return undefined;
  }
}
