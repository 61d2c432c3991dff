/**
 * What both engines ask of a request before anybody else sees it, so that they turn the same ones down: its size, its form,
 * whether it asks for a WebSocket. Also the two small texts they must agree on: addresses and close reasons.
 * Knows no engine. Called by uws-engine and ws-engine.
 */
import { SocketAddress } from 'node:net';
import { MAX_HTTP_HEADER_BYTES } from '../../shared/limits.ts';
import type { HttpRequest, Service } from './port.ts';

/**
 * What the engines' own parsers take. Above the contract's 16 KiB, so that we count and answer 431 with the hub's words;
 * beyond it the engine gives up on the request: ws still in the hub's words, uWebSockets.js in its own.
 */
export const PARSER_HEADER_BYTES = 4 * MAX_HTTP_HEADER_BYTES;
/**
 * How long a client may take for its TLS handshake, for a request, and without reading any of its answer. uWebSockets.js has
 * this number built in, for idle connections too, and counts in steps of 4 s; ws is told it, so that both cut at about one time.
 */
export const SLOW_CLIENT_MS = 10_000;
/** How long an idle HTTP connection is kept: longer than the 60 s for which most proxies use one again. */
export const KEEP_ALIVE_MS = 80_000;
/** Bytes waiting for one peer, from which on its messages are dropped: well above the largest snapshot. */
export const MAX_BACKPRESSURE_BYTES = 16 * 1024 * 1024;
/** What may wait for one peer beyond the hub's own messages: answers to pings. More is a peer that asks and never reads. */
export const MAX_WAITING_PONG_BYTES = 64 * 1024;

export type RequestHead = Omit<HttpRequest, 'body' | 'noRoom'>;

/** Whose request it is, by the service's word. The peer is an `addressText`. */
export function clientOf(service: Service, peer: string, headers: HttpRequest['headers']): string {
  return service.clientAddress(peer, headers.get('x-forwarded-for'));
}

/** Headers one by one, in the order they came. Joined where repeated: a doubled token or origin then fits nothing. */
export class HeaderCollector {
  readonly headers = new Map<string, string>();
  bytes = 0;

  add(lowerCaseName: string, value: string): void {
    this.bytes += lowerCaseName.length + value.length + ': \r\n'.length;
    const before = this.headers.get(lowerCaseName);
    this.headers.set(lowerCaseName, before === undefined ? value : `${before}, ${value}`);
  }
}

/** A request target in its parts. One in absolute form, as proxies are sent, has an authority in the place of a Host's. */
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

/** The statuses that turn down what is not of its form. */
export type Malformed = 400 | 426 | 431;

/** What a request asks for, or the status that turns it down. */
export function askedFor(head: RequestHead, headerBytes: number): 'http' | 'websocket' | Malformed {
  const { method, path, query, headers } = head;
  const lineBytes = `${method} ${path}${query === '' ? '' : '?'}${query} HTTP/1.1\r\n`.length;
  if (lineBytes + headerBytes + '\r\n'.length > MAX_HTTP_HEADER_BYTES) return 431;
  const contentLength = headers.get('content-length');
  // Two lengths (joined: "3, 4") are how requests are smuggled past a proxy; uWebSockets.js takes the first of them.
  if (contentLength !== undefined && !/^\d+$/.test(contentLength)) return 400;
  // uWebSockets.js takes whatever it says for chunks, and another reader may not.
  const coding = headers.get('transfer-encoding')?.toLowerCase();
  if (coding !== undefined && (coding !== 'chunked' || contentLength !== undefined)) return 400;
  // Two hosts (joined: "a, b") are how two readers are told two different things.
  if (headers.get('host')?.includes(', ') === true) return 400;
  if (!/^[A-Z-]+$/.test(method) || !path.startsWith('/')) return 400;
  if (!offersWebSocket(headers.get('connection'), headers.get('upgrade'))) return 'http';
  if (!isSoundHandshake(head)) return 400;
  return headers.get('sec-websocket-version') === '13' ? 'websocket' : 426;
}

/** Whether these two headers of a request offer to go on as a WebSocket, perhaps among other protocols. */
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

/** Section 4.1: tokens, none of them empty or twice. */
function areSubprotocols(header: string | undefined): boolean {
  if (header === undefined) return true;
  const tokens = listOf(header);
  return new Set(tokens).size === tokens.length && tokens.every((token) => TOKEN.test(token));
}

/** Section 9.1. We agree to none, but a malformed list must fail the handshake. Empty elements mean nothing. */
function areExtensions(header: string | undefined): boolean {
  if (header === undefined) return true;
  const extensions = listOf(header).filter((extension) => extension !== '');
  return extensions.length > 0 && extensions.every((extension) => EXTENSION.test(extension));
}

/** The subprotocol that both engines take: the first one offered. '' if none is. */
export function chosenSubprotocol(headers: RequestHead['headers']): string {
  return listOf(headers.get('sec-websocket-protocol') ?? '')[0] ?? '';
}

export function hasBody(headers: RequestHead['headers']): boolean {
  return headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0';
}

/** The length of the body as its head says; 0 if it says none. */
export function declaredLength({ headers }: RequestHead): number {
  return Number(headers.get('content-length') ?? 0);
}

/** What proxies add to the requests that they pass on. */
const PROXY_HEADERS = ['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via'];

/** Whether somebody passed the request on, by its own word. */
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

/** One text for one address: uWebSockets.js writes IPv6 out in full, and both show IPv4 on a dual-stack port as IPv6. */
export function addressText(address: string): string {
  if (!address.includes(':')) return address;
  const short = address.includes('%') ? address : new SocketAddress({ address, family: 'ipv6' }).address;
  return short.startsWith('::ffff:') && short.includes('.') ? short.slice('::ffff:'.length) : short;
}

const MAX_REASON_BYTES = 123;

/** A close frame has room for 123 bytes of reason; a longer one is cut between characters. */
export function fittingReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES), { stream: true });
}

/** Whether a reply of this status may have a body, and so a content-length. */
export function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304;
}
