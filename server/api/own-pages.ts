/**
 * Which requests come from the hub's own pages, or from no page at all. A hub that listens on loopback alone is called by
 * no other name: a page under a foreign name that resolves to this machine is not its own, though Origin and Host are
 * alike (DNS rebinding). A hub that listens elsewhere can't know the names that lead to it.
 */
import { isAllowedOrigin } from '../auth/origins.ts';
import type { HttpRequest } from '../sockets/port.ts';

export function ownPagesOf(host: string, isLoopback: boolean): (request: HttpRequest) => boolean {
  return ({ headers }) => {
    const origin = headers.get('origin');
    const asked = headers.get('host');
    const names = new Set([host.toLowerCase()]);
    if (!isLoopback && asked !== undefined && URL.canParse(`http://${asked}`))
      names.add(new URL(`http://${asked}`).hostname);
    return isAllowedOrigin(origin, asked, { listed: new Set(), hubHosts: names });
  };
}
