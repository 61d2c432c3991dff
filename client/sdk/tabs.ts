/**
 * One connection for all tabs of a browser: a SharedWorker holds it; where there is none, the tab that gets the lock, with
 * a channel to the others, until it dies or freezes and the next one takes over; where there is not even that, each tab its
 * own. Loaded when it is needed. Called by create.
 */
import { HubLink, type HubLinkOptions } from './hub-link.ts';
import type { Link, LinkEvents } from './link.ts';
import { RemoteLink } from './remote-link.ts';
import { locksOf, Shares } from './tab-server.ts';
import { keyOf, type SharedOptions } from './tab-protocol.ts';

/** A module worker on a busy machine takes a while; one that can't run says so at once. */
const WORKER_WITHIN_MS = 10_000;
const LEADER_WITHIN_MS = 3_000;
/** Sent by a tab that begins to lead: all others connect to it. */
const LEADING = '';
/** Sent by a leading tab that is frozen now: another tab takes the lead. */
const FROZEN = '-';

export function openSharedLink(options: HubLinkOptions, events: LinkEvents): Link {
  const { WebSocket, getToken, ...rest } = options;
  // Only the app knows whose its tokens are: an observer's may be another's than those of the next tab.
  const isPersonal = rest.user === undefined && getToken !== undefined;
  // What is no whole browser, such as jsdom, has no channels.
  const hasChannels = 'MessageChannel' in globalThis && 'BroadcastChannel' in globalThis;
  if (isPersonal || !hasChannels) return new HubLink(options, events);
  const shared: SharedOptions = { ...rest, hasToken: getToken !== undefined };
  const meeting = new Meeting(keyOf(shared), new Shares(WebSocket));
  const { lock, onSilent, onClosed } = meeting;
  const link = new RemoteLink({ shared, getToken, lock, onSilent, onClosed }, events);
  meeting.begin(link);
  return link;
}

/** How this tab and the others come together. */
class Meeting {
  readonly #key: string;
  readonly #shares: Shares;
  /** Held as long as this tab takes part. */
  readonly lock: string;
  readonly #closing = new AbortController();
  #link: RemoteLink | undefined;
  #hasWorker = 'SharedWorker' in globalThis;
  #door: BroadcastChannel | undefined;
  #knocks = 0;
  #isLeading = false;
  /** Aborted when this tab takes part no longer. */
  #parting = new AbortController();

  constructor(key: string, shares: Shares) {
    this.#key = key;
    this.#shares = shares;
    this.lock = `${key} ${Math.random()}`;
  }

  begin(link: RemoteLink): void {
    this.#link = link;
    const { signal } = this.#closing;
    const comeBack = (): void => {
      if (this.#parting.signal.aborted) this.#come();
    };
    // A page that is kept for the way back must hold nothing.
    addEventListener('pagehide', () => this.#part(), { signal });
    addEventListener('pageshow', comeBack, { signal });
    document.addEventListener('resume', comeBack, { signal });
    // At once: what is only posted to this page's own link is not heard before the thaw.
    const freeze = (): void => {
      if (this.#shares.freeze()) this.#part();
      else if (this.#isLeading) this.#door?.postMessage(FROZEN);
    };
    document.addEventListener('freeze', freeze, { signal });
    this.#come();
  }

  readonly onClosed = (): void => {
    this.#closing.abort();
    this.#part();
  };

  readonly onSilent = (wasThere: boolean): void => {
    if (this.#door !== undefined) return this.#lead(true);
    // A worker that was there has died: there may be another. One that never was is not tried again.
    this.#hasWorker = wasThere;
    this.#meet();
  };

  #come(): void {
    this.#parting = new AbortController();
    const { signal } = this.#parting;
    const meet = (): void => {
      if (!signal.aborted) this.#meet();
    };
    // Held before it is named to anybody, who would take this tab for dead.
    const held = locksOf()?.request(this.lock, () => {
      meet();
      return over(signal);
    });
    if (held === undefined) meet();
    else held.catch(meet);
  }

  #part(): void {
    this.#link?.use(undefined);
    this.#parting.abort();
    this.#door?.close();
    this.#door = undefined;
    this.#resign();
  }

  #meet(): void {
    if (this.#hasWorker) {
      try {
        const worker = new SharedWorker(new URL('./worker.js', import.meta.url), {
          type: 'module',
          name: 'presence-hub',
        });
        worker.onerror = () => this.#link?.isAt(worker.port) === true && this.onSilent(false);
        this.#link?.use(worker.port, WORKER_WITHIN_MS);
        return;
      } catch {
        this.#hasWorker = false; // a page of another origin's script, or of none
      }
    }
    if (locksOf() === undefined) return this.#serveMyself();
    this.#door = new BroadcastChannel(this.#key);
    this.#door.onmessage = ({ data }: MessageEvent<string>) => {
      if (data === LEADING) this.#knock();
      else if (data === FROZEN) this.#lead(true);
      else if (this.#isLeading) this.#shares.serve(new BroadcastChannel(data));
    };
    this.#knock();
    this.#lead(false);
  }

  /** Opens a channel of its own and names it at the door. */
  #knock(): void {
    const name = `${this.lock} ${this.#knocks++}`;
    this.#link?.use(new BroadcastChannel(name), LEADER_WITHIN_MS);
    this.#door?.postMessage(name);
  }

  /** Waits for the lead, or takes it from a tab that does not answer. */
  #lead(steal: boolean): void {
    const { signal } = this.#parting;
    const granted = (): Promise<void> | undefined => {
      if (signal.aborted || this.#isLeading) return undefined;
      this.#isLeading = true;
      this.#serveMyself();
      this.#door?.postMessage(LEADING);
      return over(signal);
    };
    void locksOf()
      ?.request(this.#key, steal ? { steal } : { signal }, granted)
      .catch(() => {
        if (signal.aborted) return;
        // There are locks, and this page may have none: a sandbox, or storage that is forbidden.
        if (!this.#isLeading) return this.#serveMyself();
        // Taken over by a tab that found this one frozen.
        this.#resign();
        this.#knock();
        this.#lead(false);
      });
  }

  #resign(): void {
    this.#isLeading = false;
    this.#shares.abandon();
  }

  #serveMyself(): void {
    const { port1, port2 } = new MessageChannel();
    this.#link?.use(port2, LEADER_WITHIN_MS);
    this.#shares.serve(port1);
  }
}

function over(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}
