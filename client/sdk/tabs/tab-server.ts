/**
 * The server for tabs: gives each tab the shared link that matches its options. Runs in the SharedWorker or in the
 * leading tab, with a port for each tab. Detects the end of a tab by the lock that it holds.
 */
import { SharedLink } from './shared-link.ts';
import { keyOf, type FromTab, type Port, type ToTab } from './tab-protocol.ts';
import type { WebSocketConstructor } from '../types.ts';

export class Shares {
  readonly #links = new Map<string, SharedLink>();
  readonly #WebSocket: WebSocketConstructor;

  constructor(WebSocket: WebSocketConstructor) {
    this.#WebSocket = WebSocket;
  }

  /** `myLock`: the lock by which a tab detects that this server has died. */
  serve(port: Port<ToTab>, myLock?: string): void {
    let take: ((word: FromTab) => void) | undefined;
    port.onmessage = ({ data }: MessageEvent<FromTab>) => {
      if (data[0] !== 'open') return take?.(data);
      // A second `open`: the tab did not receive the answer to the first.
      take?.(['close']);
      const [, options, lock] = data;
      const key = keyOf(options);
      let link = this.#links.get(key);
      if (link === undefined) {
        const made = new SharedLink(options, this.#WebSocket, () => {
          if (this.#links.get(key) === made) this.#links.delete(key);
        });
        this.#links.set(key, (link = made));
      }
      const taking = (take = link.attach(port));
      // Granted when the tab is gone, for whatever reason.
      locksOf()
        ?.request(lock, () => taking(['close']))
        .catch(() => undefined); // a page that may not use locks has no other tabs
    };
    port.postMessage(['attach', myLock]);
  }

  /** @returns whether another tab should hold the connections. */
  freeze(): boolean {
    return [...this.#links.values()].some((link) => link.freeze());
  }

  abandon(): void {
    for (const link of this.#links.values()) link.abandon();
    this.#links.clear();
  }
}

/** Undefined if the page came over plain http from another machine. Some environments have null. */
export function locksOf(): LockManager | undefined {
  return (navigator as { locks?: LockManager | null }).locks ?? undefined;
}
