/**
 * Whose address a request came from, where proxies stand before the hub. Only what a trusted proxy appended counts: the
 * rest of X-Forwarded-For is what the client chose to write. Pure; called where connections and requests are counted.
 */
import { canonicalAddress, isAddress, type Cidrs } from './cidrs.ts';

/**
 * The rightmost address that is no trusted proxy's; where all are trusted, the leftmost. Where what a proxy appended is no
 * address, the peer's. In canonical form; a peer without an address (a Unix socket) as it stands.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trusted: Cidrs): string {
  const peerAddress = canonicalAddress(peer) ?? peer;
  if (forwardedFor === undefined || !trusted.contains(peerAddress)) return peerAddress;
  let client = peerAddress;
  for (const hop of forwardedFor.split(',').reverse()) {
    const address = addressOf(hop.trim());
    if (address === undefined) return peerAddress;
    client = address;
    if (!trusted.contains(address)) break;
  }
  return client;
}

/** Some proxies write the port too: 192.0.2.7:5222, [2001:db8::7]:5222. */
function addressOf(hop: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop);
  const written = bracketed?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
  return isAddress(written) ? canonicalAddress(written) : undefined;
}
