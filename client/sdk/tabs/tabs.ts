/**
 * One connection for all tabs of a browser. A SharedWorker holds it. Without that, the tab that gets the lock leads,
 * with a channel to each other tab, until it dies or freezes and the next one takes over. Without locks, each tab has
 * its own connection. Loaded when it is needed.
 */
import { HubLink, type HubLinkOptions } from '../link/hub-link.ts';
import type { Link, LinkEvents } from '../link/link.ts';
import { RemoteLink } from '../link/remote-link.ts';
import { locksOf, Shares } from './tab-server.ts';
import { keyOf, type SharedOptions } from './tab-protocol.ts';

/** A module worker on a busy machine takes a while to start. One that cannot run reports that at once. */
const WORKER_WITHIN_MS = 10_000;
const LEADER_WITHIN_MS = 3_000;
/** Sent by a tab that begins to lead: all others connect to it. */
const LEADING = '';
/** Sent by a leading tab that is about to freeze: another tab takes the lead. */
const FROZEN = '-';

export function openSharedLink(options: HubLinkOptions, events: LinkEvents): Link {
  const { WebSocket, getToken, ...rest } = options;
  // Only the app knows the owner of its tokens: an observer's token in this tab may be another person's than in the
  // next tab.
  const isPersonal = rest.user === undefined && getToken !== undefined;
  // An incomplete browser environment, such as jsdom, has no channels.
  const hasChannels = 'MessageChannel' in globalThis && 'BroadcastChannel' in globalThis;
  if (isPersonal || !hasChannels) return new HubLink(options, events);
  const shared: SharedOptions = { ...rest, hasToken: getToken !== undefined };
  const meeting = new Meeting(keyOf(shared), new Shares(WebSocket));
  const { lock, onSilent, onClosed } = meeting;
  const link = new RemoteLink({ shared, getToken, lock, onSilent, onClosed }, events);
  meeting.begin(link);
  return link;
}

/** How this tab and the others find each other. */
class Meeting {
  readonly #key: string;
  readonly #shares: Shares;
  /** The lock that is held as long as this tab takes part. */
  readonly lock: string;
  readonly #closing = new AbortController();
  #link: RemoteLink | undefined;
  #hasWorker = 'SharedWorker' in globalThis;
  #door: BroadcastChannel | undefined;
  #knocks = 0;
  #isLeading = false;
  /** Aborted when this tab stops taking part. */
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
    // A page in the back/forward cache must hold nothing.
    addEventListener('pagehide', () => this.#part(), { signal });
    addEventListener('pageshow', comeBack, { signal });
    document.addEventListener('resume', comeBack, { signal });
    // Calls `freeze` directly, because a message to this page's own link would not arrive before the page resumes.
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
    // A worker that was there has died, and there may be another. One that never answered is not tried again.
    this.#hasWorker = wasThere;
    this.#meet();
  };

  #come(): void {
    this.#parting = new AbortController();
    const { signal } = this.#parting;
    const meet = (): void => {
      if (!signal.aborted) this.#meet();
    };
    // The lock must be held before other tabs learn its name, because they would take this tab for dead.
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
        const worker = new SharedWorker(new URL('../worker.js', import.meta.url), {
          type: 'module',
          name: 'presence-hub',
        });
        worker.onerror = () => this.#link?.isAt(worker.port) === true && this.onSilent(false);
        this.#link?.use(worker.port, WORKER_WITHIN_MS);
        return;
      } catch {
        this.#hasWorker = false; // the page is from another origin than the script, or has none
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

  /** Opens a new channel and announces its name to the leader. */
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
        // Locks exist, but this page may not use them: it is in a sandbox, or storage is forbidden.
        if (!this.#isLeading) return this.#serveMyself();
        // A tab that found this one frozen took the lead.
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
