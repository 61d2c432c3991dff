/**
 * Which web pages may talk to the hub: by the `Origin` that a browser adds and no page can forge. A page counts as the
 * hub's own only under a host that nobody else can point here: a foreign name that resolves to the hub's address makes Origin
 * and Host alike too (DNS rebinding). Pure; called at the WebSocket upgrade, at HTTP requests and for CORS.
 */
import { isIP } from 'node:net';

export interface OriginRules {
  /** Of HUB_ORIGINS, as `parseOrigins` made them. */
  readonly listed: ReadonlySet<string>;
  /** Names of the hub itself, lower case: HUB_HOST where it is a name, and perhaps the machine's. */
  readonly hubHosts: ReadonlySet<string>;
}

export type ReadOrigins =
  { readonly ok: true; readonly origins: ReadonlySet<string> } | { readonly ok: false; readonly problem: string };

/** Reads HUB_ORIGINS. Nothing but white space is no origin. One may end with a slash, as an address bar shows it. */
export function parseOrigins(text: string): ReadOrigins {
  const entries = text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
  const origins = new Set<string>();
  for (const entry of entries) {
    const origin = entry.includes('*') ? undefined : canonicalOrigin(entry.replace(/\/$/, ''));
    if (origin === undefined) {
      const advice = entry.includes('*')
        ? 'wildcards are not allowed: list each origin'
        : 'write https://app.example.com, with commas between';
      return { ok: false, problem: `HUB_ORIGINS holds "${entry}", which is no origin: ${advice}` };
    }
    origins.add(origin);
  }
  return { ok: true, origins };
}

/** Whether a request with these headers comes from no page, from the hub's own, or from a listed one. */
export function isAllowedOrigin(origin: string | undefined, host: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined) return true;
  const canonical = canonicalOrigin(origin);
  if (canonical === undefined) return false;
  return rules.listed.has(canonical) || isOwn(canonical, host, rules.hubHosts);
}

/** The origin as HUB_ORIGINS lists it; undefined for any other, and for none. */
export function listedOrigin(origin: string | undefined, listed: ReadonlySet<string>): string | undefined {
  const canonical = origin === undefined ? undefined : canonicalOrigin(origin);
  return canonical !== undefined && listed.has(canonical) ? canonical : undefined;
}

/**
 * Whether a hub that asks for no token may be called so. A page under a foreign name that resolves here (DNS
 * rebinding) sends that name as Host, and no Origin with a GET. Browsers always send a Host: without one it is none.
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
  // Read with the page's scheme, so that the port it need not write is the same one. A proxy may speak TLS for the hub.
  if (canonicalOrigin(`${scheme}//${host}`) !== origin) return false;
  const name = new URL(origin).hostname;
  return leadsNowhereElse(name) || hubHosts.has(name);
}

/** No DNS of a stranger's can point these at the hub: an address, and the names that browsers keep for this machine. */
function leadsNowhereElse(name: string): boolean {
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || name === 'localhost' || name.endsWith('.localhost');
}

/** Scheme, host and a port that is not the scheme's own, lower case. Undefined for `null` and what has more parts. */
function canonicalOrigin(text: string): string | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@\\,]+$/i.exec(text);
  if (match === null || !URL.canParse(text)) return undefined;
  // An app's own scheme (capacitor://localhost) has an origin for its browser, but none for URL.
  const { origin } = new URL(text);
  return origin === 'null' ? text.toLowerCase() : origin;
}
