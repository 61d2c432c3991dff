/**
 * A tab's end of a shared link: sends its calls over a port and emits what comes back. The server of the link may
 * change: at each `attach`, this end reopens and resends its state. Detects a silent server.
 */
import { PresenceError } from '../error.ts';
import type { HubLinkOptions } from './hub-link.ts';
import type { Link, LinkEvents } from './link.ts';
import { locksOf } from '../tabs/tab-server.ts';
import type { FromTab, Port, SharedOptions, ToTab } from '../tabs/tab-protocol.ts';
import { Timers } from '../timers.ts';
import type { GetToken, MyStatus } from '../types.ts';

const PING_EVERY_MS = 5_000;
const PONG_WITHIN_MS = 3_000;
const LEFT_WITHIN_MS = 6_000;
/** If a timer is this late, the tab was suspended, so a missing answer proves nothing. */
const LATE_MS = 1_000;

export interface RemoteLinkOptions extends Pick<HubLinkOptions, 'getToken'> {
  readonly shared: SharedOptions;
  /** The name of the lock that this tab holds. */
  readonly lock: string;
  /** Nothing answers at the port. `wasThere`: it answered before. */
  readonly onSilent: (wasThere: boolean) => void;
  readonly onClosed: () => void;
}

export class RemoteLink implements Link {
  readonly #options: RemoteLinkOptions;
  readonly #events: LinkEvents;
  #getToken: GetToken | undefined;
  readonly #timers = new Timers<'ping' | 'pong' | 'leave'>();
  #port: Port<FromTab> | undefined;
  /** Aborted when another port is used. */
  #speaking = new AbortController();
  #mine: MyStatus;
  /** What was set but not confirmed yet by the server, which sends each `set` to all tabs, including this one. */
  #unsaid: MyStatus | undefined;
  #awayAfterMs = 0;
  /** The last input in any tab, as far as this tab knows. */
  #inputAt = -Infinity;
  #isConnecting = false;
  #isClosed = false;
  #wasThere = false;

  constructor(options: RemoteLinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#mine = options.shared.mine;
  }

  /** Uses this port from now on. The link opens when a server attaches. */
  use(port: Port<FromTab> | undefined, withinMs = PONG_WITHIN_MS): void {
    this.#post(['close']);
    this.#port?.close();
    this.#speaking.abort();
    this.#speaking = new AbortController();
    this.#port = port;
    this.#wasThere = false;
    this.#timers.stop('ping', 'pong');
    if (port === undefined) return;
    port.onmessage = ({ data }: MessageEvent<ToTab>) => {
      if (this.#port === port) this.#receive(data);
    };
    this.#expect(withinMs);
  }

  isAt(port: Port<FromTab>): boolean {
    return this.#port === port;
  }

  connect(): void {
    this.#isConnecting = true;
    this.#post(['connect']);
  }

  send(message: Parameters<Link['send']>[0]): void {
    this.#post(['send', message]);
  }

  set(what: MyStatus): void {
    this.#mine = { ...this.#mine, ...what };
    this.#inputAt = performance.now();
    this.#unsaid = { ...this.#unsaid, ...what };
    this.#post(['set', what]);
  }

  input(awayAfterMs: number): void {
    // This page is being frozen. Other tabs may be in use: the tab that holds the connection reports `away` if none is.
    // If this one takes over in the last moment, it starts as away.
    this.#inputAt = -Infinity;
    if (!awayAfterMs) return;
    this.#awayAfterMs = awayAfterMs;
    this.#inputAt = performance.now();
    this.#post(['input', awayAfterMs, 0]);
  }

  check(): void {
    this.#post(['check']);
    this.#ping();
  }

  leave(): void {
    this.#post(['leave']);
    // If no server was there, there is nothing to wait for.
    this.#timers.set('leave', this.#wasThere ? LEFT_WITHIN_MS : 0, () => {
      this.#end();
      this.#events.onStatus({ status: 'closed', receivedAt: 0 });
    });
  }

  close(): void {
    this.#end();
  }

  #post(word: FromTab): void {
    this.#port?.postMessage(word);
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timers.stop('leave');
    this.use(undefined);
    this.#options.onClosed();
  }

  #receive(word: ToTab): void {
    this.#timers.stop('pong');
    this.#timers.set('ping', PING_EVERY_MS, () => this.#ping());
    this.#wasThere = true;
    switch (word[0]) {
      case 'attach':
        if (word[1] !== undefined) this.#missBy(word[1]);
        this.#post(['open', { ...this.#options.shared, mine: this.#mine }, this.#options.lock]);
        if (this.#unsaid !== undefined) this.#post(['set', this.#unsaid]);
        // Sent before `connect`, because the first message to the hub says whether the user is active.
        if (this.#awayAfterMs > 0) this.#post(['input', this.#awayAfterMs, performance.now() - this.#inputAt]);
        if (this.#isConnecting) this.#post(['connect']);
        break;
      case 'set':
        this.#mine = { ...this.#mine, ...word[1] };
        this.#unsaid = undefined;
        break;
      case 'onStatus':
        if (word[1].status === 'closed') this.#end();
        this.#events.onStatus(word[1]);
        break;
      case 'onMessage':
        this.#events.onMessage(word[1]);
        break;
      case 'onError':
        this.#events.onError(new PresenceError(word[1], word[2], word[3]));
        break;
      case 'getToken':
        void this.#token(word[1], word[2]);
        break;
      case 'ask':
        this.#ping();
        break;
      case 'pong':
        this.#inputAt = Math.max(this.#inputAt, word[1]);
        break;
    }
  }

  async #token(no: number, why: { refresh: boolean }): Promise<void> {
    const port = this.#port;
    try {
      const { onceAtATime } = await import('./tokens.ts');
      // Only asked if the app has `getToken`.
      this.#getToken ??= onceAtATime(this.#options.getToken as GetToken);
      port?.postMessage(['token', no, await this.#getToken(why)]);
    } catch (error) {
      port?.postMessage(['token', no, null, String(error)]);
    }
  }

  /**
   * Requests the server's lock, which is granted when the server dies. That is much sooner than its silence would show.
   */
  #missBy(lock: string): void {
    const { signal } = this.#speaking;
    locksOf()
      ?.request(lock, { signal }, () => this.#options.onSilent(true))
      .catch(() => undefined); // another server took over, or the page may not use locks
  }

  #ping(): void {
    this.#post(['ping', performance.now()]);
    if (!this.#timers.has('pong')) this.#expect(PONG_WITHIN_MS);
  }

  #expect(withinMs: number): void {
    this.#timers.set('pong', withinMs, (lateMs) => {
      if (lateMs > LATE_MS) this.#ping();
      else this.#options.onSilent(this.#wasThere);
    });
  }
}
