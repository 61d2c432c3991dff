/**
 * An open loop at an even rate: what is due does not wait for what was answered. It spins, since a timer of whole
 * milliseconds would send in bursts and read late; so it wants a core of its own. Tells how late it was itself and how
 * much of the time it had nothing to do. Used by the roles that measure delays.
 */
import { traffic } from './load-client.ts';

/** What one turn sends at most: reading must not wait for a backlog of sends. */
const MOST_A_TURN = 64;

export interface LoopFigures {
  readonly ms: number;
  readonly sent: number;
  /** Not sent in time: the generator could not keep the rate. */
  readonly owed: number;
  readonly worstLateMs: number;
  readonly busyPercent: number;
  /** How much of a core this process had. It spins, so less than all means that something else took the rest. */
  readonly corePercent: number;
}

export const idleLoop: LoopFigures = { ms: 0, sent: 0, owed: 0, worstLateMs: 0, busyPercent: 0, corePercent: 100 };

export class BusyLoop {
  readonly #perMs: number;
  readonly #send: () => void;
  #isRunning = true;
  #fromMs = performance.now();
  #lastMs = this.#fromMs;
  #sent = 0;
  #worstLateMs = 0;
  #idleMs = 0;
  #readsBefore = 0;
  #cpuBefore = process.cpuUsage();

  constructor(perS: number, send: () => void) {
    this.#perMs = perS / 1000;
    this.#send = send;
    this.#turn();
  }

  /** Returns the figures since the last call, and resets them. */
  figures(): LoopFigures {
    const now = performance.now();
    const ms = now - this.#fromMs;
    const owed = Math.max(0, Math.floor(ms * this.#perMs) - this.#sent);
    const busyPercent = 100 * (1 - this.#idleMs / ms);
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const corePercent = (user + system) / 10 / ms;
    const figures = { ms, sent: this.#sent, owed, worstLateMs: this.#worstLateMs, busyPercent, corePercent };
    this.#cpuBefore = process.cpuUsage();
    this.#fromMs = now;
    this.#sent = 0;
    this.#worstLateMs = 0;
    this.#idleMs = 0;
    return figures;
  }

  stop(): void {
    this.#isRunning = false;
  }

  #turn(): void {
    if (!this.#isRunning) return;
    const now = performance.now();
    const elapsedMs = now - this.#fromMs;
    const due = Math.floor(elapsedMs * this.#perMs) - this.#sent;
    if (due > 0) {
      this.#worstLateMs = Math.max(this.#worstLateMs, elapsedMs - (this.#sent + 1) / this.#perMs);
      for (let left = Math.min(due, MOST_A_TURN); left > 0; left -= 1) {
        this.#sent += 1;
        this.#send();
      }
    } else if (traffic.reads === this.#readsBefore) this.#idleMs += now - this.#lastMs;
    this.#readsBefore = traffic.reads;
    this.#lastMs = now;
    setImmediate(() => this.#turn());
  }
}
