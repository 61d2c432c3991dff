/**
 * Which web pages may use the hub, judged by the `Origin` header, which a browser adds and no page can forge. A page is
 * the hub's own only under a host that nobody else can point here: a foreign name that resolves to the hub's address
 * makes Origin and Host equal too (DNS rebinding). Pure.
 */
import { isIP } from 'node:net';
import { fail, ok, type Result } from '../../shared/result.ts';

export interface OriginRules {
  /** The result of `parseOrigins` for HUB_ORIGINS. */
  readonly listed: ReadonlySet<string>;
  /** Names of the hub in lower case: HUB_HOST if it is a name, and possibly the machine's name. */
  readonly hubHosts: ReadonlySet<string>;
}

/**
 * Parses HUB_ORIGINS. White space alone is the empty set. An origin may end with a slash, as an address bar shows it.
 */
export function parseOrigins(text: string): Result<ReadonlySet<string>> {
  const entries = text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
  const origins = new Set<string>();
  for (const entry of entries) {
    const origin = entry.includes('*') ? undefined : canonicalOrigin(entry.replace(/\/$/, ''));
    if (origin === undefined) {
      const advice = entry.includes('*')
        ? 'wildcards are not allowed: list each origin'
        : 'write https://app.example.com, separated by commas';
      return fail(`HUB_ORIGINS holds "${entry}", which is not an origin: ${advice}`);
    }
    origins.add(origin);
  }
  return ok<ReadonlySet<string>>(origins);
}

/** Returns whether a request with these headers comes from no page, the hub's own page, or a listed one. */
export function isAllowedOrigin(origin: string | undefined, host: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined) return true;
  const canonical = canonicalOrigin(origin);
  if (canonical === undefined) return false;
  return rules.listed.has(canonical) || isOwn(canonical, host, rules.hubHosts);
}

/** Returns the origin as HUB_ORIGINS lists it; undefined if it is absent or not listed. */
export function listedOrigin(origin: string | undefined, listed: ReadonlySet<string>): string | undefined {
  const canonical = origin === undefined ? undefined : canonicalOrigin(origin);
  return canonical !== undefined && listed.has(canonical) ? canonical : undefined;
}

/**
 * Returns whether a hub that requires no token answers to this host name. A page under a foreign name that resolves
 * here (DNS rebinding) sends that name as Host, and no Origin with a GET. Browsers always send a Host, so a request
 * without it is not a browser's.
 */
export function isKnownHost(host: string | undefined, { listed, hubHosts }: OriginRules): boolean {
  if (host === undefined) return true;
  const origin = canonicalOrigin(`http://${host}`);
  if (origin === undefined) return false;
  const name = new URL(origin).hostname;
  if (leadsNowhereElse(name) || hubHosts.has(name)) return true;
  return [...listed].some((one) => new URL(one).hostname === name);
}

function isOwn(origin: string, host: string | undefined, hubHosts: ReadonlySet<string>): boolean {
  const scheme = /^https?:/.exec(origin)?.[0];
  if (scheme === undefined || host === undefined) return false;
  // Parsed with the page's scheme, so that an omitted port means the same one. A proxy may terminate TLS for the hub.
  if (canonicalOrigin(`${scheme}//${host}`) !== origin) return false;
  const name = new URL(origin).hostname;
  return leadsNowhereElse(name) || hubHosts.has(name);
}

/**
 * Returns whether the name is an address or one that browsers reserve for this machine. No foreign DNS server can point
 * these at the hub.
 */
function leadsNowhereElse(name: string): boolean {
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Returns scheme, host and any port that is not the scheme's default, in lower case. Returns undefined for `null` and
 * for text with more parts.
 */
function canonicalOrigin(text: string): string | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@\\,]+$/i.exec(text);
  if (match === null || !URL.canParse(text)) return undefined;
  // An app's own scheme (capacitor://localhost) has an origin in its browser, but not in `URL`.
  const { origin } = new URL(text);
  return origin === 'null' ? text.toLowerCase() : origin;
}
