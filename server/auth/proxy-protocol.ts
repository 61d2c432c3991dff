/**
 * Parses the PROXY protocol header, in which a load balancer names the client of a TCP connection: version 1 (a line of
 * text) and version 2 (binary), as in https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt. Pure. Only for a
 * peer that is a trusted proxy, and only before the first frame.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { canonicalAddress, isAddress as isPlainAddress } from './cidrs.ts';

export interface ProxySource {
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  /** The bytes so far may be the start of a header. */
  | { readonly kind: 'more' }
  /**
   * `source` is null if the load balancer connects for itself (a health check) or does not know the client: then the
   * peer's address counts.
   */
  | { readonly kind: 'header'; readonly source: ProxySource | null; readonly usedBytes: number }
  /** The stream starts with something else. */
  | { readonly kind: 'none' }
  /** The start of a header that is not valid: the connection must be closed. */
  | { readonly kind: 'bad'; readonly why: string };

const SIGNATURE_1 = Buffer.from('PROXY ');
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LONGEST_LINE_BYTES = 107;
const FIXED_BYTES = 16;
/** Every header fits into one segment of the smallest allowed MTU. Longer ones (with certificates) are refused. */
export const MAX_PROXY_HEADER_BYTES = 536;

const MORE: ProxyHeader = { kind: 'more' };

/** Parses all bytes received so far. Reaches a decision within MAX_PROXY_HEADER_BYTES. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, SIGNATURE_1)) return bytes.length < SIGNATURE_1.length ? MORE : readLine(bytes);
  if (startsLike(bytes, SIGNATURE_2)) return bytes.length < FIXED_BYTES ? MORE : readBinary(bytes);
  return { kind: 'none' };
}

export type ProxyOutcome =
  | { readonly kind: 'more' }
  /** `rest`: the bytes of the stream after the header, including those of earlier packets. */
  | { readonly kind: 'done'; readonly source: ProxySource | null; readonly rest: Buffer }
  | { readonly kind: 'bad'; readonly why: string };

/** Like `readProxyHeader`, but packet by packet. Must not be used after `done` or `bad`. */
export function createProxyReader(): { readonly push: (packet: Buffer) => ProxyOutcome } {
  let held: Buffer = Buffer.alloc(0);
  return {
    push: (packet) => {
      // Copies even a single packet, because an engine may reuse its memory.
      held = Buffer.concat([held, packet]);
      const header = readProxyHeader(held);
      if (header.kind === 'none') return { kind: 'done', source: null, rest: held };
      if (header.kind !== 'header') return header;
      return { kind: 'done', source: header.source, rest: held.subarray(header.usedBytes) };
    },
  };
}

function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, LONGEST_LINE_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < LONGEST_LINE_BYTES ? MORE : bad('its line has no end');
  const usedBytes = end + 2;
  const fields = bytes.toString('latin1', SIGNATURE_1.length, end).split(' ');
  const [family, source = '', destination = '', port = '', destinationPort = ''] = fields;
  if (family === 'UNKNOWN') return { kind: 'header', source: null, usedBytes };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  const isSound =
    fields.length === 5 && isAddress(source) && isAddress(destination) && isPort(port) && isPort(destinationPort);
  if (!isSound) return bad('its line is not of the form');
  // An address with a zone counts as absent.
  if (!isPlainAddress(source)) return { kind: 'header', source: null, usedBytes };
  return headerOf(source, Number(port), usedBytes);
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const usedBytes = FIXED_BYTES + bytes.readUInt16BE(14);
  if (command !== 0x20 && command !== 0x21) return bad('its version or command is unknown');
  if (usedBytes > MAX_PROXY_HEADER_BYTES) return bad(`it has ${usedBytes} bytes`);
  if (bytes.length < usedBytes) return MORE;
  const isLocal = command === 0x20;
  // Families without an IP address: unspecified, and Unix sockets.
  if (isLocal || family === 0x00 || family >> 4 === 3) return { kind: 'header', source: null, usedBytes };
  if (family === 0x11 && usedBytes >= FIXED_BYTES + 12) {
    return headerOf(bytes.subarray(16, 20).join('.'), bytes.readUInt16BE(24), usedBytes);
  }
  if (family === 0x21 && usedBytes >= FIXED_BYTES + 36) {
    const groups = bytes.toString('hex', 16, 32).match(/.{4}/g) ?? [];
    return headerOf(groups.join(':'), bytes.readUInt16BE(48), usedBytes);
  }
  return bad('its family is not TCP, or its addresses are cut off');
}

function headerOf(address: string, port: number, usedBytes: number): ProxyHeader {
  return { kind: 'header', source: { address: canonicalAddress(address) ?? address, port }, usedBytes };
}

function bad(why: string): ProxyHeader {
  return { kind: 'bad', why };
}
