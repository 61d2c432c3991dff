/**
 * Sends inputs: each over a connection of its own, write by write, so that the borders between writes are borders for the
 * hub, too. Reads and drops what comes back. Most connections end with an end of stream and wait for the hub's, so that
 * all was read; a reset would throw away what a busy hub has not read yet.
 */
import { connect } from 'node:net';
import type { Input } from './input.ts';

export interface Door {
  readonly port: number;
  /** Where the system has them, addresses to come from: a port that was closed has to wait for a minute. */
  readonly addresses: readonly string[];
}

const LINGER_MS = 4;
const ANSWER_WITHIN_MS = 200;
const GIVE_UP_MS = 2000;
const ONE_RESET_IN = 4;

/** Resolves when the connection is over, whoever ended it. */
export function send({ port, addresses }: Door, { no, chunks, asksFirst = false }: Input): Promise<void> {
  return new Promise((resolve) => {
    const localAddress = addresses[no % addresses.length];
    const from = localAddress === undefined ? {} : { localAddress };
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, ...from });
    const giveUp = setTimeout(() => socket.destroy(), GIVE_UP_MS);
    let lingering: NodeJS.Timeout | undefined;
    const end = (): void => {
      if (no % ONE_RESET_IN !== ONE_RESET_IN - 1) socket.end();
      else lingering = setTimeout(() => socket.resetAndDestroy(), LINGER_MS);
    };
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(giveUp);
      clearTimeout(lingering);
      resolve();
    });
    let onAnswer = (): void => undefined;
    socket.on('data', () => onAnswer());
    const rest = chunks.values();
    const next = (): void => {
      const { value, done } = rest.next();
      if (done === true) end();
      else socket.write(value, (error) => (error ? undefined : next()));
    };
    const ask = (): void => {
      const goOn = (): void => {
        clearTimeout(waiting);
        onAnswer = () => undefined;
        next();
      };
      onAnswer = goOn;
      const waiting = setTimeout(goOn, ANSWER_WITHIN_MS);
      socket.write(rest.next().value ?? '');
    };
    socket.on('connect', asksFirst ? ask : next);
  });
}
