/**
 * Decides which requests come from no page or from a page that may use the hub (its own, or one that HUB_ORIGINS
 * lists), and which headers let a listed page read the answers. An open hub answers only to its own host names,
 * wherever it listens. A page under a foreign name that resolves to the hub has equal Origin and Host (DNS rebinding),
 * and its GET has no Origin, so the Host is judged. A hub that requires tokens need not know its names.
 */
import { isAllowedOrigin, isKnownHost, listedOrigin } from '../../../auth/origins.ts';
import type { HttpRequest } from '../../../sockets/port.ts';

export interface PageRulesOptions {
  /** HUB_HOST */
  readonly host: string;
  /** The machine's own name, which nobody else can point at the hub in other users' browsers. */
  readonly machineName: string;
  readonly isLoopback: boolean;
  /** HUB_AUTH=open: a request needs no token that a foreign page could not have. */
  readonly isOpen: boolean;
  /** Returns HUB_ORIGINS. A reload of the settings replaces the set. */
  readonly listed: () => ReadonlySet<string>;
}

export interface PageRules {
  /** Returns whether the request comes from no page, the hub's own page, or a listed one. */
  isAllowed(request: HttpRequest): boolean;
  /** Returns whether the Host of the request can be one of the hub's names. */
  isKnownHost(request: HttpRequest): boolean;
  /** Returns whether this is a CORS preflight of a listed page. */
  isPreflight(request: HttpRequest): boolean;
  /** Returns the headers that let a listed page, and no other, read the answer; undefined if no page is listed. */
  corsHeaders(request: HttpRequest): Readonly<Record<string, string>> | undefined;
}

export function createPageRules({ host, machineName, isLoopback, isOpen, listed }: PageRulesOptions): PageRules {
  const own = ownNames(host, isLoopback ? undefined : machineName);
  // Caches the last verdict. Nearly all clients use the same host name, and parsing it as a URL costs 4 µs in each of
  // 10,000 upgrades.
  let judged:
    { readonly host: string | undefined; readonly by: ReadonlySet<string>; readonly isKnown: boolean } | undefined;
  const judgeHost = (asked: string | undefined): boolean => {
    const by = listed();
    if (judged === undefined || judged.host !== asked || judged.by !== by) {
      judged = { host: asked, by, isKnown: isKnownHost(asked, { listed: by, hubHosts: own }) };
    }
    return judged.isKnown;
  };
  const pageOf = ({ headers }: HttpRequest): string | undefined => listedOrigin(headers.get('origin'), listed());
  return {
    isAllowed: ({ headers }) => {
      const asked = headers.get('host');
      const hubHosts = new Set(own);
      if (!isLoopback && !isOpen && asked !== undefined && URL.canParse(`http://${asked}`)) {
        hubHosts.add(new URL(`http://${asked}`).hostname);
      }
      return isAllowedOrigin(headers.get('origin'), asked, { listed: listed(), hubHosts });
    },
    isKnownHost: ({ headers }) => !isOpen || judgeHost(headers.get('host')),
    isPreflight: (request) =>
      request.method === 'OPTIONS' &&
      request.headers.has('access-control-request-method') &&
      pageOf(request) !== undefined,
    corsHeaders: (request) => {
      if (listed().size === 0) return undefined;
      const origin = pageOf(request);
      if (origin === undefined) return { vary: 'Origin' };
      return {
        vary: 'Origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'retry-after',
      };
    },
  };
}

/**
 * Returns the names in lower case, as URL prints them. The first part of the machine's full name is one of its names
 * too.
 */
function ownNames(host: string, machineName: string | undefined): ReadonlySet<string> {
  const names = [host, ...(machineName === undefined ? [] : [machineName, machineName.split('.')[0] ?? ''])];
  return new Set(names.map((name) => name.toLowerCase()).filter((name) => name !== ''));
}
