/** Whose address a request came from, behind proxies and behind those who claim to be. */
import { describe, expect, it } from 'vitest';
import { parseCidrs } from '../../../server/auth/cidrs.ts';
import { clientAddress } from '../../../server/auth/client-address.ts';

const read = parseCidrs('HUB_TRUST_PROXY', '10.0.0.0/8, fd00::/8');
if (!read.ok) throw new Error(read.problem);
const trusted = read.value;

describe('the address of a client (S8)', () => {
  it.each<[string, string, string | undefined, string]>([
    ['the peer’s without the header', '10.0.0.1', undefined, '10.0.0.1'],
    ['the peer’s where the peer is no trusted proxy', '192.0.2.1', '198.51.100.7', '192.0.2.1'],
    ['what the proxy wrote', '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['what the proxy wrote, on a dual-stack socket', '::ffff:10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['what the proxy appended, not what the client wrote', '10.0.0.1', '127.0.0.1, 198.51.100.7', '198.51.100.7'],
    ['not a trusted address that the client wrote', '10.0.0.1', '10.9.9.9, 198.51.100.7', '198.51.100.7'],
    ['behind two proxies', '10.0.0.1', 'x, 198.51.100.7, 10.0.0.2', '198.51.100.7'],
    ['the leftmost where all are trusted', '10.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.3'],
    ['with a port', '10.0.0.1', '198.51.100.7:5222', '198.51.100.7'],
    ['of IPv6', '10.0.0.1', '2001:DB8::0:7', '2001:db8::7'],
    ['of IPv6 in brackets with a port', 'fd00::1', '[2001:db8::7]:5222', '2001:db8::7'],
    ['of IPv4 in IPv6 clothes', '10.0.0.1', '::ffff:198.51.100.7', '198.51.100.7'],
    ['the peer’s where the header is empty', '10.0.0.1', '', '10.0.0.1'],
    ['the peer’s where the last hop is garbage', '10.0.0.1', '198.51.100.7, unknown', '10.0.0.1'],
    ['the peer’s where a hop behind a proxy is garbage', '10.0.0.1', '198.51.100.7, <x>, 10.0.0.2', '10.0.0.1'],
    ['the peer’s where the port is garbage', '10.0.0.1', '198.51.100.7:x', '10.0.0.1'],
    ['the peer’s where an address has a zone', '10.0.0.1', `fe80::1%${'A'.repeat(400)}`, '10.0.0.1'],
    ['the peer’s where one in brackets has a zone', '10.0.0.1', '[fe80::1%eth0]:5222', '10.0.0.1'],
    ['the peer’s where brackets are left open', '10.0.0.1', '[2001:db8::7', '10.0.0.1'],
    ['in its one form', '2001:DB8::0:7', undefined, '2001:db8::7'],
    ['a Unix socket’s none', '', '198.51.100.7', ''],
  ])('is %s', (_what, peer, forwardedFor, address) => {
    expect(clientAddress(peer, forwardedFor, trusted)).toBe(address);
  });

  it('is found in a header of 16 KiB', () => {
    const header = `198.51.100.7, ${'10.0.0.2,'.repeat(1800)}10.0.0.2`;
    expect(clientAddress('10.0.0.1', header, trusted)).toBe('198.51.100.7');
  });
});
