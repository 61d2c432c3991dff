/**
 * One attempt to deliver a batch: a signed POST (Standard Webhooks) to a URL. Follows no redirect and no proxy, connects
 * to no link-local address unless it is allowed, and reads at most 4 KiB of the answer. Decides nothing about retries.
 */
import { createHmac } from 'node:crypto';
import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { parseCidrs, type Cidrs } from '../auth/cidrs.ts';
import { limitInterimAnswers, smallReads } from '../lib/net/bounded-answer.ts';
import type { Rule } from './rules.ts';

export type Outcome = { readonly kind: 'delivered' } | { readonly kind: 'failed'; readonly reason: string };

export interface PostOptions {
  /** Link-local addresses that may be connected to. */
  readonly allowed: Cidrs;
  /** Ends the attempt early. */
  readonly signal: AbortSignal;
  /** Certificates to trust instead of the system's. */
  readonly ca?: string | undefined;
}

export const ANSWER_WITHIN_MS = 10_000;
const MAX_ANSWER_BYTES = 4096;
const MAX_HEAD_BYTES = 8192;

/** Each attempt opens its own connection, so the certificate is checked each time. */
const agents = {
  http: new HttpAgent({ keepAlive: false, onread: smallReads }),
  https: new HttpsAgent({ keepAlive: false, maxCachedSessions: 0, onread: smallReads }),
};

const IS_LINK_LOCAL = 'is link-local, and HUB_WEBHOOK_ALLOW does not list it';
/** Includes their NAT64, 6to4 and IPv4-compatible forms, and the IPv6 address of the metadata service of AWS. */
const LINK_LOCAL = [
  ...['169.254.0.0/16', 'fe80::/10'],
  ...['64:ff9b::a9fe:0/112', '2002:a9fe::/32', '::a9fe:0/112', 'fd00:ec2::254/128'],
];
const linkLocal = readLinkLocal();

/** Sends the body once. Never rejects. `atMs` is on the wall clock. */
export function post(
  { url, secrets }: Pick<Rule, 'url' | 'secrets'>,
  { id, body }: { readonly id: string; readonly body: string },
  atMs: number,
  options: PostOptions,
): Promise<Outcome> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // Addresses of names are checked in the lookup, but an IP address is not looked up.
  if (isIP(host) !== 0 && isRefused(host, options.allowed)) {
    return Promise.resolve({ kind: 'failed', reason: `its address ${IS_LINK_LOCAL}` });
  }
  const timestamp = String(Math.floor(atMs / 1000));
  const request = open(url, {
    method: 'POST',
    agent: url.protocol === 'https:' ? agents.https : agents.http,
    maxHeaderSize: MAX_HEAD_BYTES,
    lookup: allowedLookup(options.allowed),
    signal: AbortSignal.any([options.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'presence-hub',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': secrets.map((secret) => sign(secret, id, timestamp, body)).join(' '),
    },
  });
  const outcome = outcomeOf(request);
  request.end(body);
  return outcome;
}

/** Resolves when the answer has ended, so that a receiver has only one connection at a time. */
function outcomeOf(request: ClientRequest): Promise<Outcome> {
  return new Promise((resolve) => {
    let isAnswered = false;
    limitInterimAnswers(request, (why) => {
      fail(why);
      request.destroy();
    });
    const fail = (reason: string): void => {
      if (!isAnswered) resolve({ kind: 'failed', reason });
    };
    request.on('response', (answer) => {
      isAnswered = true;
      const { statusCode = 0 } = answer;
      const isAccepted = statusCode >= 200 && statusCode <= 299;
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) request.destroy();
      });
      answer.on('error', () => undefined);
      answer.on('close', () => {
        resolve(isAccepted ? { kind: 'delivered' } : { kind: 'failed', reason: `it answered ${statusCode}` });
      });
    });
    request.on('error', (error) => {
      fail(describeError(error));
    });
    // A protocol upgrade by the receiver ends the request without an error.
    request.on('close', () => {
      fail('it closed without an answer');
    });
  });
}

/** One signature of the header `webhook-signature`. */
function sign(secret: Buffer, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

function open(url: URL, options: RequestOptions): ClientRequest {
  return url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
}

/** The system's lookup, without refused addresses. */
function allowedLookup(allowed: Cidrs): RequestOptions['lookup'] {
  return (hostname, options: LookupOptions, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const addresses = found.filter(({ address }) => !isRefused(address, allowed));
      const [first] = addresses;
      if (first === undefined) {
        callback(new Error(`every address of its name ${IS_LINK_LOCAL}`), '');
      } else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function isRefused(address: string, allowed: Cidrs): boolean {
  return linkLocal.contains(address) && !allowed.contains(address);
}

/** Describes an error without the URL, whose user info and query may be secret. */
function describeError(error: NodeJS.ErrnoException): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return error.name === 'AbortError' && (error.cause as Error | undefined)?.name !== 'TimeoutError'
      ? 'the attempt was ended'
      : `it did not answer within ${ANSWER_WITHIN_MS / 1000} s`;
  }
  const [first] = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error];
  return first?.code ?? error.message;
}

function readLinkLocal(): Cidrs {
  const read = parseCidrs('link-local', LINK_LOCAL.join(','));
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}
