/**
 * The client's address of a request if proxies stand before the hub. Only what a trusted proxy appended counts, because
 * the client can write anything into the rest of X-Forwarded-For. Pure.
 */
import { canonicalAddress, isAddress, type Cidrs } from './cidrs.ts';

/**
 * Returns the rightmost address that is not a trusted proxy's; if all are trusted, the leftmost. If a proxy appended
 * something that is not an address, returns the peer's. The result is canonical, except for a peer without an address
 * (a Unix socket).
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

/** Some proxies add the port: 192.0.2.7:5222, [2001:db8::7]:5222. */
function addressOf(hop: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop);
  const written = bracketed?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
  return isAddress(written) ? canonicalAddress(written) : undefined;
}
