/**
 * Limits how many long requests of a caller run at the same time: those whose cost is known, and charged, only once they
 * have begun. Otherwise a caller could send any number of them before the first is charged. Does not know what they do.
 */
import { Gate } from '../../lib/collections/gate.ts';
import type { HttpReply } from '../../sockets/port.ts';
import type { Reply } from './route.ts';

/** As many as the hub asks a service for friend lists at the same time, so that a slow one delays nobody more. */
const AT_ONCE = 32;

export class LongRequests {
  readonly #gates = new Map<string, Gate>();

  /**
   * Answers now, or once fewer requests of the caller run. `refuse` is asked after a wait: earlier requests may have used
   * up the rate.
   */
  run(caller: string, answer: () => Reply, refuse: () => HttpReply | undefined): Reply {
    const gate = this.#gates.get(caller) ?? new Gate(AT_ONCE);
    this.#gates.set(caller, gate);
    const waits = gate.enter();
    const begun = waits === undefined ? answer : (): Promise<HttpReply> => waits.then(() => refuse() ?? answer());
    return this.#untilWritten(begun, () => this.#leave(caller, gate));
  }

  /** Calls `leave` when nothing more is read for the answer. */
  #untilWritten(answer: () => Reply, leave: () => void): Reply {
    const leaveAfter = (reply: HttpReply): HttpReply => {
      const { rest } = reply;
      if (rest === undefined) {
        leave();
        return reply;
      }
      const close = (): void => {
        leave();
        rest.close();
      };
      return { ...reply, rest: { next: () => rest.next(), close } };
    };
    const failed = (error: unknown): never => {
      leave();
      throw error;
    };
    try {
      const reply = answer();
      return reply instanceof Promise ? reply.then(leaveAfter, failed) : leaveAfter(reply);
    } catch (error) {
      return failed(error);
    }
  }

  #leave(caller: string, gate: Gate): void {
    gate.leave();
    if (gate.isEmpty) this.#gates.delete(caller);
  }
}
