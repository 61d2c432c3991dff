/**
 * Addresses and sets of addresses as settings name them ("10.0.0.0/8, ::1"). An IPv4-mapped IPv6 address
 * (::ffff:10.0.0.1, as a dual-stack socket shows it) always counts as the IPv4 address. Pure.
 */
import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';
import { fail, ok, type Result } from '../../shared/result.ts';

export interface Cidrs {
  readonly isEmpty: boolean;
  /** Returns false also for text that is not an address. */
  contains(address: string): boolean;
}

/** Parses the value of `setting`. A fault names the entry. White space alone is the empty set. */
export function parseCidrs(setting: string, text: string): Result<Cidrs> {
  // One list per family, because in a common one Node's ::/0 contains every IPv4 address too.
  const v4 = new BlockList();
  const v6 = new BlockList();
  const entries = text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
  for (const entry of entries) {
    const range = parseRange(entry);
    if (range === undefined) {
      return fail(
        `${setting} holds "${entry}", which is neither an address nor a range: write 10.0.0.7, 10.0.0.0/8, ::1 or fd00::/8, separated by commas`,
      );
    }
    if (range.family === 'ipv4') v4.addSubnet(range.address, range.prefix, 'ipv4');
    else v6.addSubnet(range.address, range.prefix, 'ipv6');
  }
  const contains = (address: string): boolean => {
    const canonical = canonicalAddress(address);
    if (canonical === undefined) return false;
    return isIPv4(canonical) ? v4.check(canonical, 'ipv4') : v6.check(canonical, 'ipv6');
  };
  return ok({ isEmpty: entries.length === 0, contains });
}

/**
 * Returns the canonical text of an address, so that equal addresses are equal strings: lower case, shortest form, IPv4
 * if it is IPv4-mapped, no zone (`%eth0`). Returns undefined for text that is not an address.
 */
export function canonicalAddress(address: string): string | undefined {
  const family = isIP(address);
  if (family !== 6) return family === 4 ? address : undefined;
  const bare = address.split('%', 1)[0] ?? '';
  const canonical = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(canonical)?.[1] ?? canonical;
}

/** The longest text of an address without a zone: `0000:0000:0000:0000:0000:ffff:255.255.255.255`. */
const MAX_ADDRESS_CHARS = 45;

/** Returns whether text from a peer is an address. A zone (`%eth0`) is not accepted, because it may have any length. */
export function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_CHARS && !text.includes('%') && isIP(text) !== 0;
}

/**
 * Returns what is counted as one address: an IPv4 address itself, but the /64 of an IPv6 address, because a single host
 * has all of it. Other text counts as it stands.
 */
export function neighbourhoodOf(address: string): string {
  const canonical = canonicalAddress(address);
  if (canonical?.includes(':') !== true) return canonical ?? address;
  const [head = '', tail] = canonical.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':');
}

interface Range {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefix: number;
}

/** The number of leading bits of an IPv4-mapped IPv6 address before the IPv4 address. */
const CLOTHES_BITS = 96;

function parseRange(entry: string): Range | undefined {
  const [, written = '', bits] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(entry) ?? [];
  const address = canonicalAddress(written);
  if (address === undefined) return undefined;
  const written6 = written.includes(':');
  const isV4 = isIPv4(address);
  const width = written6 ? 128 : 32;
  const prefix = bits === undefined ? width : Number(bits);
  if (prefix > width) return undefined;
  if (!isV4) return { family: 'ipv6', address, prefix };
  const prefix4 = written6 ? prefix - CLOTHES_BITS : prefix;
  return prefix4 < 0 ? undefined : { family: 'ipv4', address, prefix: prefix4 };
}
