/**
 * One poll on the wire: connects, or sends an HTTP request, and reports the outcome. Follows no redirects, keeps no
 * connections, accepts no compression, and reads at most 8 KiB of a body. Everything else that a target can send is
 * bounded too, in bytes and in number. Has no clock: the function that `probe` returns must be called in time to cut
 * off a slow poll. Knows no users and no statuses.
 */
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import { MAX_POLL_BODY_BYTES } from '../../../shared/limits.ts';
import { limitInterimAnswers, smallReads } from '../../lib/net/bounded-answer.ts';
import type { Endpoint } from './targets.ts';

/**
 * `unable`: the hub lacked a resource that a poll needs, or its network or resolver failed. That says nothing about the
 * target.
 */
export type Outcome =
  | {
      readonly kind: 'alive';
      /** Undefined if there is none or it is too long to read. */ readonly body: Buffer | undefined;
    }
  | { readonly kind: 'miss'; readonly reason: string }
  | { readonly kind: 'unable'; readonly reason: string };

/** Ends a poll that takes too long. Returns what it was waiting for. */
export type CutOff = () => 'the name' | 'the answer';

interface ProberOptions {
  /** Certificates to trust instead of the system's. */
  readonly ca?: string;
}

/** Maximum bytes of the head of an answer, enforced by Node.js. */
const MAX_HEAD_BYTES = 8 * 1024;
/** Maximum bytes of a whole answer as received: interim answers, the head, and the body with its chunk sizes. */
const MAX_ANSWER_BYTES = 4 * MAX_POLL_BODY_BYTES;
/** Maximum reads of one answer. An answer that comes byte by byte costs a turn of the loop for each. */
const MAX_READS = 256;

const asking = {
  headers: { accept: 'application/json, application/xml, text/xml, */*;q=0.1', 'user-agent': 'presence-hub' },
  maxHeaderSize: MAX_HEAD_BYTES,
};

export class Prober {
  readonly #httpAgent = new HttpAgent({ keepAlive: false, onread: smallReads });
  readonly #httpsAgent: HttpsAgent;

  constructor({ ca }: ProberOptions = {}) {
    // Without cached TLS sessions, each poll checks the certificate again.
    this.#httpsAgent = new HttpsAgent({
      keepAlive: false,
      maxCachedSessions: 0,
      onread: smallReads,
      ...(ca === undefined ? {} : { ca }),
    });
  }

  /** Polls once. The returned function cuts the poll off; `onOutcome` is not called after that. */
  probe(endpoint: Endpoint, onOutcome: (outcome: Outcome) => void): CutOff {
    switch (endpoint.kind) {
      case 'tcp':
        return probeTcp(endpoint.host, endpoint.port, onOutcome);
      case 'http': {
        const { url } = endpoint;
        return url.protocol === 'https:'
          ? probeHttp(url, httpsGet(url, { ...asking, agent: this.#httpsAgent }), onOutcome)
          : probeHttp(url, httpGet(url, { ...asking, agent: this.#httpAgent }), onOutcome);
      }
      default:
        return endpoint satisfies never;
    }
  }
}

function probeTcp(host: string, port: number, onOutcome: (outcome: Outcome) => void): CutOff {
  const socket = connect({ host, port });
  const lookup = new NameLookup();
  lookup.follow(socket, host);
  const finish = once((outcome) => {
    socket.destroy();
    onOutcome(outcome);
  });
  socket.on('connect', () => finish({ kind: 'alive', body: undefined }));
  socket.on('error', (error) => finish(asOutcome(error)));
  return () => {
    finish.cancel();
    socket.destroy();
    return lookup.isUnderWay ? 'the name' : 'the answer';
  };
}

function probeHttp(
  { hostname }: URL,
  request: ReturnType<typeof httpGet>,
  onOutcome: (outcome: Outcome) => void,
): CutOff {
  const lookup = new NameLookup();
  const finish = once((outcome) => {
    request.destroy();
    onOutcome(outcome);
  });
  let isAlive = false;
  const tooMuch = (reason: string): void => {
    finish(isAlive ? { kind: 'alive', body: undefined } : { kind: 'miss', reason });
  };
  request.on('socket', (socket) => {
    lookup.follow(socket, hostname);
    countReads(socket, tooMuch);
  });
  limitInterimAnswers(request, tooMuch);
  request.on('response', (response) => {
    const { statusCode = 0 } = response;
    isAlive = statusCode >= 200 && statusCode <= 299;
    if (!isAlive) finish({ kind: 'miss', reason: `it answered ${statusCode}` });
    else readBody(response, finish);
  });
  request.on('error', (error) => finish(asOutcome(error)));
  // An answer that switches protocols ends the request without an error.
  request.on('close', () => finish({ kind: 'miss', reason: 'it closed without an answer' }));
  return () => {
    finish.cancel();
    request.destroy();
    return lookup.isUnderWay ? 'the name' : 'the answer';
  };
}

function countReads(socket: Socket, tooMuch: (reason: string) => void): void {
  let bytes = 0;
  let reads = 0;
  // Runs before the parser, so that the limits hold whatever the parser makes of the bytes.
  socket.prependListener('data', (chunk: Buffer) => {
    bytes += chunk.length;
    reads++;
    if (bytes > MAX_ANSWER_BYTES) tooMuch(`it sent more than ${MAX_ANSWER_BYTES} bytes`);
    else if (reads > MAX_READS) tooMuch(`it sent its answer in more than ${MAX_READS} pieces`);
  });
}

function readBody(response: IncomingMessage, finish: (outcome: Outcome) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_POLL_BODY_BYTES) finish({ kind: 'alive', body: undefined });
    else chunks.push(chunk);
  });
  response.on('end', () => finish({ kind: 'alive', body: Buffer.concat(chunks) }));
  response.on('error', (error) => finish(asOutcome(error)));
}

/** Error codes of resources that the hub has used up, and of its own network and resolver. */
const ownTroubles = new Set([
  ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
  ...['EAI_AGAIN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL'],
]);

function asOutcome(error: NodeJS.ErrnoException): Outcome {
  // All addresses of a name were tried. If one failed because of the target, the hub's own network works.
  const all = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error];
  const decisive = all.find(({ code }) => !ownTroubles.has(code ?? '')) ?? error;
  const reason = decisive.code ?? decisive.message;
  return { kind: ownTroubles.has(reason) ? 'unable' : 'miss', reason };
}

/** Whether the name of the socket's target is still being resolved. */
class NameLookup {
  isUnderWay = false;

  follow(socket: Socket, host: string): void {
    // An address needs no lookup, and no event reports that there is none.
    if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return;
    this.isUnderWay = true;
    socket.once('lookup', () => {
      this.isUnderWay = false;
    });
  }
}

/** Passes on the first outcome only, and none after `cancel`. */
function once(report: (outcome: Outcome) => void): ((outcome: Outcome) => void) & { cancel: () => void } {
  let isDone = false;
  const finish = (outcome: Outcome): void => {
    if (isDone) return;
    isDone = true;
    report(outcome);
  };
  return Object.assign(finish, {
    cancel: () => {
      isDone = true;
    },
  });
}
