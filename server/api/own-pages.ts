/**
 * Which requests come from pages that may talk to the hub (its own, those that HUB_ORIGINS lists) or from no page at all,
 * and what lets a listed page read its answers. An open hub answers to its own names alone, wherever it listens: a page
 * under a foreign name that resolves to the hub is not its own, though Origin and Host are alike (DNS rebinding), and its GET
 * has no Origin, so the Host is judged. A hub that asks for tokens need not know the names that lead to it.
 */
import { isAllowedOrigin, isKnownHost, listedOrigin } from '../auth/origins.ts';
import type { HttpRequest } from '../sockets/port.ts';

export interface PageRulesOptions {
  /** HUB_HOST */
  readonly host: string;
  /** What the machine calls itself: a name that no stranger can point at the hub for the browsers of others. */
  readonly machineName: string;
  readonly isLoopback: boolean;
  /** HUB_AUTH=open: a request needs no token that a foreign page could not have. */
  readonly isOpen: boolean;
  /** HUB_ORIGINS */
  readonly listed: ReadonlySet<string>;
}

export interface PageRules {
  /** Whether the request comes from no page, from the hub's own, or from a listed one. */
  isAllowed(request: HttpRequest): boolean;
  /** Whether the name that the hub was called by can be one of its own. */
  isKnownHost(request: HttpRequest): boolean;
  /** A listed page's browser asks what it may send. */
  isPreflight(request: HttpRequest): boolean;
  /** What lets a listed page, and no other, read the answer to this request; undefined where no page is listed. */
  corsHeaders(request: HttpRequest): Readonly<Record<string, string>> | undefined;
}

export function createPageRules({ host, machineName, isLoopback, isOpen, listed }: PageRulesOptions): PageRules {
  const own = ownNames(host, isLoopback ? undefined : machineName);
  // Nearly everybody calls the hub by the same name, and reading it as a URL is 4 µs of each of 10,000 upgrades.
  let judged: { readonly host: string | undefined; readonly isKnown: boolean } | undefined;
  const judgeHost = (asked: string | undefined): boolean => {
    if (judged === undefined || judged.host !== asked) {
      judged = { host: asked, isKnown: isKnownHost(asked, { listed, hubHosts: own }) };
    }
    return judged.isKnown;
  };
  const pageOf = ({ headers }: HttpRequest): string | undefined => listedOrigin(headers.get('origin'), listed);
  return {
    isAllowed: ({ headers }) => {
      const asked = headers.get('host');
      const hubHosts = new Set(own);
      if (!isLoopback && !isOpen && asked !== undefined && URL.canParse(`http://${asked}`)) {
        hubHosts.add(new URL(`http://${asked}`).hostname);
      }
      return isAllowedOrigin(headers.get('origin'), asked, { listed, hubHosts });
    },
    isKnownHost: ({ headers }) => !isOpen || judgeHost(headers.get('host')),
    isPreflight: (request) =>
      request.method === 'OPTIONS' &&
      request.headers.has('access-control-request-method') &&
      pageOf(request) !== undefined,
    corsHeaders: (request) => {
      if (listed.size === 0) return undefined;
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

/** Lower case, as URL has them. Of the machine's full name, the first part alone is one of its names too. */
function ownNames(host: string, machineName: string | undefined): ReadonlySet<string> {
  const names = [host, ...(machineName === undefined ? [] : [machineName, machineName.split('.')[0] ?? ''])];
  return new Set(names.map((name) => name.toLowerCase()).filter((name) => name !== ''));
}
