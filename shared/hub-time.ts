/**
 * Estimates the hub's clock from the `at` of its messages. "Last seen 3 minutes ago" needs the hub's clock, because the
 * clock of the machine that shows it may be wrong. For clients; imports no schema, so that the SDK stays small.
 */
import type { HubMessage } from './messages/hub-messages.ts';

export class HubTime {
  /** How far the hub's clock is ahead of this machine's; 0 until a message has shown it. */
  #aheadMs = 0;

  receive(message: HubMessage): void {
    const { at } = message as { readonly at?: number };
    if (at !== undefined) this.#aheadMs = at - Date.now();
  }

  /** Returns the hub's time when this machine's clock shows `hereMs`. */
  at(hereMs: number): number {
    return hereMs + this.#aheadMs;
  }

  now(): number {
    return this.at(Date.now());
  }
}
