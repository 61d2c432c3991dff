/**
 * Checks that both engines make before a request is served, so that they reject the same requests: its size, its form,
 * and whether it asks for a WebSocket. Also formats the two texts that both must agree on: addresses and close reasons.
 * Knows no engine.
 */
import { SocketAddress } from 'node:net';
import { MAX_HTTP_HEADER_BYTES } from '../../shared/limits.ts';
import type { HttpRequest, Service } from './port.ts';

/**
 * Header limit of the engines' own parsers. It is above the contract's 16 KiB, so that the hub counts and answers 431
 * itself. Beyond it the engine rejects the request: ws still with the hub's answer, uWebSockets.js with its own.
 */
export const PARSER_HEADER_BYTES = 4 * MAX_HTTP_HEADER_BYTES;
/**
 * Maximum time of a client for its TLS handshake, for a request, and without reading any of its answer. uWebSockets.js
 * has this number built in, for idle connections too, and counts in steps of 4 s. ws is configured with it, so that
 * both cut at about the same time.
 */
export const SLOW_CLIENT_MS = 10_000;
/** How long an idle HTTP connection is kept: longer than the 60 s in which most proxies reuse one. */
export const KEEP_ALIVE_MS = 80_000;
/** Waiting bytes of one peer above which its messages are dropped. Well above the largest snapshot. */
export const MAX_BACKPRESSURE_BYTES = 16 * 1024 * 1024;
/**
 * Maximum waiting bytes of one peer in addition to the hub's own messages: answers to pings. A peer with more never
 * reads.
 */
export const MAX_WAITING_PONG_BYTES = 64 * 1024;

export type RequestHead = Omit<HttpRequest, 'body' | 'exceededLimit'>;

/** The client's address according to the service. The peer is an `addressText`. */
export function clientOf(service: Service, peer: string, headers: HttpRequest['headers']): string {
  return service.clientAddress(peer, headers.get('x-forwarded-for'));
}

/**
 * Collects headers one by one, in order. Repeated ones are joined, so that a doubled token or origin matches nothing.
 */
export class HeaderCollector {
  readonly headers = new Map<string, string>();
  bytes = 0;

  add(lowerCaseName: string, value: string): void {
    this.bytes += lowerCaseName.length + value.length + ': \r\n'.length;
    const before = this.headers.get(lowerCaseName);
    this.headers.set(lowerCaseName, before === undefined ? value : `${before}, ${value}`);
  }
}

/**
 * Splits a request target into its parts. One in absolute form, as sent to proxies, has an authority that replaces the
 * Host.
 */
export function targetOf(target: string): { authority: string | undefined; path: string; query: string } {
  const absolute = /^https?:\/\/(?:[^/?#@]*@)?([^/?#@]+)(.*)$/is.exec(target);
  const rest = absolute?.[2] ?? target;
  const queryAt = rest.indexOf('?');
  const path = queryAt === -1 ? rest : rest.slice(0, queryAt);
  return {
    authority: absolute?.[1],
    path: absolute !== null && path === '' ? '/' : path,
    query: queryAt === -1 ? '' : rest.slice(queryAt + 1),
  };
}

/** The statuses that reject a malformed request. */
export type Malformed = 400 | 426 | 431;

/** What a request asks for, or the status that rejects it. */
export function askedFor(head: RequestHead, headerBytes: number): 'http' | 'websocket' | Malformed {
  const { method, path, query, headers } = head;
  const lineBytes = `${method} ${path}${query === '' ? '' : '?'}${query} HTTP/1.1\r\n`.length;
  if (lineBytes + headerBytes + '\r\n'.length > MAX_HTTP_HEADER_BYTES) return 431;
  const contentLength = headers.get('content-length');
  // Two lengths (joined: "3, 4") are a way to smuggle requests past a proxy. uWebSockets.js uses the first of them.
  if (contentLength !== undefined && !/^\d+$/.test(contentLength)) return 400;
  // uWebSockets.js treats any coding as chunks, and another reader may not.
  const coding = headers.get('transfer-encoding')?.toLowerCase();
  if (coding !== undefined && (coding !== 'chunked' || contentLength !== undefined)) return 400;
  // Two hosts (joined: "a, b") can make two readers see different targets.
  if (headers.get('host')?.includes(', ') === true) return 400;
  if (!/^[A-Z-]+$/.test(method) || !path.startsWith('/')) return 400;
  if (!offersWebSocket(headers.get('connection'), headers.get('upgrade'))) return 'http';
  if (!isSoundHandshake(head)) return 400;
  return headers.get('sec-websocket-version') === '13' ? 'websocket' : 426;
}

/** Whether these two headers of a request offer a switch to WebSocket, possibly among other protocols. */
export function offersWebSocket(connection: string | undefined, upgrade: string | undefined): boolean {
  return hasToken(connection, 'upgrade') && hasToken(upgrade, 'websocket');
}

/** RFC 6455, section 4.2.1. */
function isSoundHandshake({ method, headers }: RequestHead): boolean {
  return (
    method === 'GET' &&
    !hasBody(headers) &&
    headers.has('sec-websocket-version') &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers.get('sec-websocket-key') ?? '') &&
    areSubprotocols(headers.get('sec-websocket-protocol')) &&
    areExtensions(headers.get('sec-websocket-extensions'))
  );
}

const TOKEN_CHARACTER = "[!#$%&'*+.^_`|~0-9A-Za-z-]";
const TOKEN = new RegExp(`^${TOKEN_CHARACTER}+$`);
const PARAMETER = `${TOKEN_CHARACTER}+(?:[ \\t]*=[ \\t]*(?:${TOKEN_CHARACTER}+|"(?:\\\\?${TOKEN_CHARACTER})+"))?`;
const EXTENSION = new RegExp(`^${TOKEN_CHARACTER}+(?:[ \\t]*;[ \\t]*${PARAMETER})*$`);

/** Section 4.1: tokens, none of them empty or repeated. */
function areSubprotocols(header: string | undefined): boolean {
  if (header === undefined) return true;
  const tokens = listOf(header);
  return new Set(tokens).size === tokens.length && tokens.every((token) => TOKEN.test(token));
}

/**
 * Section 9.1. The hub agrees to no extension, but a malformed list must fail the handshake. Empty elements mean
 * nothing.
 */
function areExtensions(header: string | undefined): boolean {
  if (header === undefined) return true;
  const extensions = listOf(header).filter((extension) => extension !== '');
  return extensions.length > 0 && extensions.every((extension) => EXTENSION.test(extension));
}

/** The subprotocol that both engines choose: the first one offered; '' if there is none. */
export function chosenSubprotocol(headers: RequestHead['headers']): string {
  return listOf(headers.get('sec-websocket-protocol') ?? '')[0] ?? '';
}

function hasBody(headers: RequestHead['headers']): boolean {
  return headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0';
}

/** The declared length of the body; 0 if there is none. */
export function declaredLength({ headers }: RequestHead): number {
  return Number(headers.get('content-length') ?? 0);
}

/** Headers that proxies add to the requests that they pass on. */
const PROXY_HEADERS = ['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via'];

/** Whether the headers say that a proxy passed the request on. */
export function isPassedOn({ headers }: RequestHead): boolean {
  return PROXY_HEADERS.some((name) => headers.has(name));
}

/** Whether the client itself says that nothing follows. */
export function asksToClose({ headers }: RequestHead): boolean {
  return hasToken(headers.get('connection'), 'close');
}

function hasToken(header: string | undefined, token: string): boolean {
  return header !== undefined && listOf(header).some((part) => part.toLowerCase() === token);
}

function listOf(header: string): string[] {
  return header.split(',').map((element) => element.trim());
}

/**
 * One text for one address. uWebSockets.js writes IPv6 in full, and both engines show IPv4 on a dual-stack port as
 * IPv6.
 */
export function addressText(address: string): string {
  if (!address.includes(':')) return address;
  const short = address.includes('%') ? address : new SocketAddress({ address, family: 'ipv6' }).address;
  return short.startsWith('::ffff:') && short.includes('.') ? short.slice('::ffff:'.length) : short;
}

const MAX_REASON_BYTES = 123;

/** Cuts a reason between characters, because a close frame holds at most 123 bytes of it. */
export function fittingReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES), { stream: true });
}

/** Whether a reply of this status may have a body, and therefore a content-length. */
export function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304;
}
