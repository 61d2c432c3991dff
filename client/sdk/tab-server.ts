/**
 * Where tabs meet: gives each its shared link, by what they have in common. Runs in the SharedWorker or in the tab that
 * leads, with a port for each tab. A tab that dies is noticed by the lock that it holds.
 */
import { SharedLink } from './shared-link.ts';
import { keyOf, type FromTab, type Port, type ToTab } from './tab-protocol.ts';
import type { WebSocketConstructor } from './types.ts';

export class Shares {
  readonly #links = new Map<string, SharedLink>();
  readonly #WebSocket: WebSocketConstructor;

  constructor(WebSocket: WebSocketConstructor) {
    this.#WebSocket = WebSocket;
  }

  /** `myLock`: by which a tab notices that whoever serves has died. */
  serve(port: Port<ToTab>, myLock?: string): void {
    let take: ((word: FromTab) => void) | undefined;
    port.onmessage = ({ data }: MessageEvent<FromTab>) => {
      if (data[0] !== 'open') return take?.(data);
      // Once more: it has not heard that it is open.
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
      // Granted when the tab is gone, however it went.
      locksOf()
        ?.request(lock, () => taking(['close']))
        .catch(() => undefined); // a page that may have none is alone
    };
    port.postMessage(['attach', myLock]);
  }

  /** @returns whether another tab had better hold the connections. */
  freeze(): boolean {
    return [...this.#links.values()].some((link) => link.freeze());
  }

  abandon(): void {
    for (const link of this.#links.values()) link.abandon();
    this.#links.clear();
  }
}

/** There are none where the page came over plain http from elsewhere than this machine; some environments have null. */
export function locksOf(): LockManager | undefined {
  return (navigator as { locks?: LockManager | null }).locks ?? undefined;
}
