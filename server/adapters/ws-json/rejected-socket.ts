/**
 * A socket that the hub has no capacity for. It is asked to reconnect later and then closed. It is not a connection: it
 * counts only among the sockets that are leaving, ignores all messages, and is terminated if the peer does not close
 * it.
 */
import { closeCodes, type CloseReason } from '../../../shared/reasons.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { BYE_CLOSE_WITHIN_MS } from '../../../shared/limits.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/time/timing-wheel.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';

const ignore = (): void => undefined;

export class RejectedSocket implements SocketEvents, Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  readonly message = ignore;
  readonly binary = ignore;
  readonly oversize = ignore;
  readonly pong = ignore;
  readonly frame = ignore;
  readonly drained = ignore;
  readonly #socket: Socket;
  readonly #onGone: (socket: RejectedSocket) => void;
  readonly #endsAt: number;

  constructor(socket: Socket, monoMs: number, onGone: (socket: RejectedSocket) => void) {
    this.#socket = socket;
    this.#onGone = onGone;
    this.#endsAt = monoMs + BYE_CLOSE_WITHIN_MS;
  }

  sayGoodbye(afterMs: number, reason: CloseReason): void {
    const message: HubMessage = { type: 'reconnect', afterMs };
    const { code, meaning } = closeCodes[reason];
    this.#socket.send(JSON.stringify(message));
    this.#socket.close(code, meaning);
  }

  tick(monoMs: number): number {
    if (monoMs < this.#endsAt) return this.#endsAt;
    this.#socket.terminate();
    return DONE;
  }

  closed(): void {
    this.#onGone(this);
  }
}
