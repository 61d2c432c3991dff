/**
 * Bounds what the answer to a request of the hub may cost, whoever answers: its interim answers, its bytes and its
 * pieces. Does not know what is asked.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ReceivedBytes } from './received-bytes.ts';

/** Maximum interim answers (100, 103) before the final one. */
export const MAX_INTERIM_ANSWERS = 8;
/** Bytes of one read, instead of 64 KiB. The parser finishes the bytes of a read even if the request has ended. */
const READ_BYTES = 4096;

/** An answer that exceeds a limit. The message says what it is: `it is longer than …`. */
export class TooMuch extends Error {}

/** For the option `onread` of an agent or a request. */
export const smallReads = {
  // Shared by all sockets, because each read is copied before the next one begins.
  buffer: Buffer.alloc(READ_BYTES),
  callback(this: Socket, bytes: number, buffer: Uint8Array): boolean {
    this.push(Buffer.from(buffer.subarray(0, bytes)));
    return true;
  },
};

/** Calls back for more interim answers than an honest server sends. */
export function limitInterimAnswers(request: ClientRequest, tooMuch: (why: string) => void): void {
  let count = 0;
  request.on('information', () => {
    if (++count > MAX_INTERIM_ANSWERS) tooMuch(`it sent more than ${MAX_INTERIM_ANSWERS} interim answers`);
  });
}

/** Reads a body as text. Rejects with `TooMuch`, or if the answer ends early. The connection is cut then. */
export function readBounded(response: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = new ReceivedBytes();
    // Not read as an async iterator, which joins pieces before they can be counted.
    response.on('data', (piece: Buffer) => {
      if (response.destroyed) return;
      if (!body.count(piece)) response.destroy(new TooMuch('it came in too many small pieces'));
      else if (body.bytes > maxBytes) response.destroy(new TooMuch(`it is longer than ${maxBytes} bytes`));
      else body.keep(piece);
    });
    response.on('end', () => resolve(body.text()));
    response.on('error', reject);
  });
}
