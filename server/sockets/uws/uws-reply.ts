/**
 * Writes one reply over uWebSockets.js, in the ways that neither keep unread answers in memory nor cut the connection.
 * Does not decide when, or which answer is the connection's last. Call it within `cork`.
 */
import { STATUS_CODES } from 'node:http';
import { mayHaveBody } from '../http-rules.ts';
import type { HttpReply } from '../port.ts';
import type { UwsResponse } from './uws-types.ts';

/**
 * For clients that respect it. An idle connection is cut after 8 s at the earliest, and a request needs time to get
 * here.
 */
const KEPT = 'timeout=6';
/** Up to this size, a last answer fits the kernel's buffer if the answers before it did. */
const SMALL_BYTES = 4_096;

type Response = UwsResponse<unknown>;

/** Called if an answer of this many bytes waits for its client. The result must be called once it does no more. */
type WaitForClient = (bytes: number) => () => void;

/** Writes an answer after which the connection stays open. */
export function writeReply(response: Response, method: string, reply: HttpReply, waitForClient: WaitForClient): void {
  writeHead(response, reply);
  response.writeHeader('keep-alive', KEPT);
  if (method === 'HEAD' || !mayHaveBody(reply.status)) endWithoutBody(response, method, reply, false);
  else writeBody(response, reply.body, waitForClient);
}

/**
 * Writes the last answer of a connection. `isReadNoMore`: closing would lose the answer, because the client still
 * sends, so the client closes.
 */
export function writeLastReply(
  response: Response,
  method: string,
  reply: HttpReply,
  { isReadNoMore, waitForClient }: { readonly isReadNoMore: boolean; readonly waitForClient: WaitForClient },
): void {
  const { status, body } = reply;
  writeHead(response, reply);
  if (method === 'HEAD' || !mayHaveBody(status)) {
    endWithoutBody(response, method, reply, true);
  } else if (Buffer.byteLength(body) <= SMALL_BYTES && !isReadNoMore) {
    response.end(body, true);
  } else {
    response.writeHeader('connection', 'close');
    writeLastBody(response, body, waitForClient);
  }
}

/** Begins an answer whose length is not known. What follows is written in chunks. */
export function writeStreamHead(response: Response, reply: HttpReply): void {
  writeHead(response, reply);
  response.writeHeader('connection', 'close');
}

function writeHead(response: Response, { status, headers }: HttpReply): void {
  response.writeStatus(`${String(status)} ${STATUS_CODES[status] ?? ''}`);
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
}

/**
 * Ends an answer without a body. If uWebSockets.js were given a length, it would wait for the body and cut the
 * connection at its next request. If it were to close, it would write a length even if none is allowed. So the client
 * closes, as after a large last answer.
 */
function endWithoutBody(response: Response, method: string, { status, body }: HttpReply, isLast: boolean): void {
  if (method === 'HEAD' && mayHaveBody(status)) {
    response.writeHeader('content-length', String(Buffer.byteLength(body)));
  }
  if (isLast) response.writeHeader('connection', 'close');
  response.endWithoutBody();
}

/**
 * Does not use `end`, which keeps copies of all answers to a client that asks and never reads (552 MB for 130 kB of
 * GETs).
 */
function writeBody(response: Response, body: string | Uint8Array, waitForClient: WaitForClient): void {
  const totalBytes = Buffer.byteLength(body);
  if (response.tryEnd(body, totalBytes)[1]) return;
  const bytes = bytesOf(body);
  const end = waitForClient(totalBytes);
  response.onWritable((writtenBytes) => {
    const [isAccepted, isDone] = response.tryEnd(bytes.subarray(writtenBytes), totalBytes);
    if (isDone) end();
    return isAccepted;
  });
}

/** A write that does not fit resumes reading, so reading pauses once more before the answer is complete. */
function writeLastBody(response: Response, body: string | Uint8Array, waitForClient: WaitForClient): void {
  const bytes = bytesOf(body);
  const writeFrom = (writtenBytes: number, end?: () => void): boolean => {
    const before = bytes.subarray(writtenBytes, -1);
    if (before.length > 0 && !response.tryEnd(before, bytes.length)[0]) return false;
    response.pause();
    const [isAccepted, isDone] = response.tryEnd(bytes.subarray(-1), bytes.length);
    if (isDone) end?.();
    return isAccepted;
  };
  if (writeFrom(0)) return;
  const end = waitForClient(bytes.length);
  response.onWritable((writtenBytes) => writeFrom(writtenBytes, end));
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}
