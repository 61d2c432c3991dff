/**
 * One poll on the wire: connects, or asks over HTTP, and says what came of it. Follows no redirect, keeps no connection,
 * reads 8 KiB of an answer and no more. It has no clock: who starts a poll cuts it off in time by calling what `probe`
 * returns. Knows no users and no statuses; the poller calls it.
 */
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { MAX_POLL_BODY_BYTES } from '../../../shared/limits.ts';
import type { Endpoint } from './targets.ts';

/** `unable`: the hub itself lacked what a poll needs, which says nothing about the target. */
export type Outcome =
  | {
      readonly kind: 'alive';
      /** Undefined where there is none, or one too long to be read. */ readonly body: Buffer | undefined;
    }
  | { readonly kind: 'miss'; readonly reason: string }
  | { readonly kind: 'unable'; readonly reason: string };

interface ProberOptions {
  /** Certificates to trust instead of the system's. */
  readonly ca?: string;
}

const headers = {
  accept: 'application/json, application/xml, text/xml, */*;q=0.1',
  'user-agent': 'presence-hub',
};

export class Prober {
  readonly #httpAgent = new HttpAgent({ keepAlive: false });
  readonly #httpsAgent: HttpsAgent;

  constructor({ ca }: ProberOptions = {}) {
    // Without cached TLS sessions each poll looks at the certificate anew.
    this.#httpsAgent = new HttpsAgent({ keepAlive: false, maxCachedSessions: 0, ...(ca === undefined ? {} : { ca }) });
  }

  /** Polls once. What it returns cuts the poll off; then `onOutcome` is not called any more. */
  probe(endpoint: Endpoint, onOutcome: (outcome: Outcome) => void): () => void {
    switch (endpoint.kind) {
      case 'tcp':
        return probeTcp(endpoint.host, endpoint.port, onOutcome);
      case 'http': {
        const { url } = endpoint;
        return url.protocol === 'https:'
          ? probeHttp(httpsGet(url, { agent: this.#httpsAgent, headers }), onOutcome)
          : probeHttp(httpGet(url, { agent: this.#httpAgent, headers }), onOutcome);
      }
      default:
        return endpoint satisfies never;
    }
  }
}

function probeTcp(host: string, port: number, onOutcome: (outcome: Outcome) => void): () => void {
  const socket = connect({ host, port });
  const finish = once((outcome) => {
    socket.destroy();
    onOutcome(outcome);
  });
  socket.on('connect', () => finish({ kind: 'alive', body: undefined }));
  socket.on('error', (error) => finish(asOutcome(error)));
  return () => {
    finish.cancel();
    socket.destroy();
  };
}

function probeHttp(request: ReturnType<typeof httpGet>, onOutcome: (outcome: Outcome) => void): () => void {
  const finish = once((outcome) => {
    request.destroy();
    onOutcome(outcome);
  });
  request.on('response', (response) => {
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299) finish({ kind: 'miss', reason: `it answered ${statusCode}` });
    else readBody(response, finish);
  });
  request.on('error', (error) => finish(asOutcome(error)));
  // An answer that switches protocols ends the request without an error.
  request.on('close', () => finish({ kind: 'miss', reason: 'it closed without an answer' }));
  return () => {
    finish.cancel();
    request.destroy();
  };
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

/** What the hub itself has run out of. */
const ownTroubles = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

function asOutcome(error: NodeJS.ErrnoException): Outcome {
  const reason = error.code ?? error.message;
  return { kind: ownTroubles.has(reason) ? 'unable' : 'miss', reason };
}

/** The first outcome counts; after `cancel` none does. */
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
