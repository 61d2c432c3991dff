/** Who is away stays away when another holds the connection for all tabs: real links, with a socket and a clock of the test. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RemoteLink } from '../../../client/sdk/link/remote-link.ts';
import { Shares } from '../../../client/sdk/tabs/tab-server.ts';
import type { FromTab, Port, SharedOptions, ToTab } from '../../../client/sdk/tabs/tab-protocol.ts';
import type { WebSocketLike } from '../../../client/sdk/types.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';

const AWAY_AFTER_MS = 60_000;

/** A socket of a hub that welcomes everyone and answers each heartbeat. */
class Socket implements WebSocketLike {
  static all: Socket[] = [];
  readonly readyState = 1;
  readonly statuses: unknown[] = [];
  readonly texts: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose = null;
  onerror = null;

  constructor() {
    Socket.all.push(this);
    setTimeout(() => this.onopen?.(), 20);
  }

  send(text: string): void {
    const said = JSON.parse(text) as { type: string; status?: string; text?: string };
    const { type, status } = said;
    if (status !== undefined) this.statuses.push(status);
    if (said.text !== undefined) this.texts.push(said.text);
    if (type === 'hello')
      this.#say({ type: 'welcome', session: 's', heartbeatMs: 10_000, timeoutMs: 25_000, node: 'n', protocol: 1 });
    else this.#say({ type: 'ok', re: 'beat' });
  }

  close(): void {}

  #say(message: HubMessage): void {
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(message) }), 1);
  }
}

const shared: SharedOptions = { url: 'ws://hub/ws', user: '42', device: 'web', mine: {}, hasToken: false };
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const statuses = (): unknown => Socket.all.at(-1)?.statuses;

/** What is said at one end comes out at the other, a moment later; a dead or frozen end receives nothing. */
function ports(isReceived: () => boolean): [Port<FromTab>, Port<ToTab>] {
  const ends: [Port<unknown>, Port<unknown>] = [endTo(1), endTo(0)];
  function endTo(other: 0 | 1): Port<unknown> {
    return {
      onmessage: null,
      close: () => undefined,
      postMessage: (word) => {
        const data: unknown = structuredClone(word);
        setTimeout(() => {
          if (isReceived()) ends[other].onmessage?.({ data } as MessageEvent);
        }, 1);
      },
    };
  }
  return ends;
}

describe('when another holds the connection', () => {
  let links: RemoteLink[];
  let dead: Set<Shares>;

  const openTab = (): RemoteLink => {
    const options = { shared, getToken: undefined, lock: '', onSilent: () => undefined, onClosed: () => undefined };
    const link = new RemoteLink(options, {
      onStatus: () => undefined,
      onMessage: () => undefined,
      onError: () => undefined,
    });
    links.push(link);
    return link;
  };
  const meet = (link: RemoteLink, holder: Shares): void => {
    const [ours, theirs] = ports(() => !dead.has(holder));
    link.use(ours);
    holder.serve(theirs);
  };
  const holder = (): Shares => new Shares(Socket);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    vi.stubGlobal('navigator', {});
    Socket.all = [];
    links = [];
    dead = new Set();
  });
  afterEach(() => {
    for (const link of links) link.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('who was away is so from the first word on', async () => {
    const first = holder();
    const tab = openTab();
    meet(tab, first);
    tab.connect();
    tab.input(AWAY_AFTER_MS);
    await pass(AWAY_AFTER_MS + 1_000);
    expect(statuses()).toEqual(['online', 'away']);
    dead.add(first);
    first.abandon();
    meet(tab, holder());
    await pass(30_000);
    expect(Socket.all).toHaveLength(2);
    expect(statuses()).toEqual(['away']);
    tab.input(AWAY_AFTER_MS);
    await pass(100);
    expect(statuses()).toEqual(['away', 'online']);
  });

  it('a page that is frozen while it takes over is away from the first word on, until there is input', async () => {
    const first = holder();
    const tab = openTab();
    meet(tab, first);
    tab.connect();
    tab.input(AWAY_AFTER_MS);
    await pass(1_000);
    expect(statuses()).toEqual(['online']);
    dead.add(first);
    tab.input(0);
    meet(tab, holder());
    await pass(1_000);
    expect(Socket.all).toHaveLength(2);
    expect(statuses()).toEqual(['away']);
    tab.input(AWAY_AFTER_MS);
    await pass(100);
    expect(statuses()).toEqual(['away', 'online']);
    first.abandon();
  });

  it('who was not goes away when the rest of the time is over', async () => {
    const first = holder();
    const tab = openTab();
    meet(tab, first);
    tab.connect();
    tab.input(AWAY_AFTER_MS);
    await pass(AWAY_AFTER_MS - 10_000);
    first.abandon();
    meet(tab, holder());
    await pass(9_000);
    expect(statuses()).toEqual(['online']);
    await pass(2_000);
    expect(statuses()).toEqual(['online', 'away']);
  });

  it('the last input of any tab counts, whichever tab comes first', async () => {
    const first = holder();
    const [idle, busy] = [openTab(), openTab()];
    for (const tab of [idle, busy]) {
      meet(tab, first);
      tab.connect();
      tab.input(AWAY_AFTER_MS);
    }
    await pass(AWAY_AFTER_MS - 20_000);
    busy.input(AWAY_AFTER_MS);
    await pass(30_000);
    dead.add(first);
    first.abandon();
    const next = holder();
    meet(idle, next);
    await pass(1_000);
    expect(statuses()).toEqual(['online']);
    meet(busy, next);
    await pass(1_000);
    expect(statuses()).toEqual(['online']);
    await pass(AWAY_AFTER_MS);
    expect(statuses()).toEqual(['online', 'away']);
  });

  it('a tab that comes with an older input takes nobody away', async () => {
    const first = holder();
    const [idle, busy] = [openTab(), openTab()];
    meet(idle, first);
    idle.connect();
    idle.input(AWAY_AFTER_MS);
    await pass(AWAY_AFTER_MS + 1_000);
    const second = holder();
    meet(busy, second);
    busy.connect();
    busy.input(AWAY_AFTER_MS);
    await pass(1_000);
    meet(idle, second);
    await pass(1_000);
    expect(statuses()).toEqual(['online']);
    first.abandon();
  });

  it('what a tab sets while nobody serves it is said as soon as somebody does', async () => {
    const first = holder();
    const [one, two] = [openTab(), openTab()];
    meet(one, first);
    one.connect();
    await pass(1_000);
    two.set({ status: 'busy' });
    meet(two, first);
    two.set({ text: 'in a meeting' });
    await pass(1_000);
    expect(statuses()).toEqual(['online', 'busy']);
    dead.add(first);
    first.abandon();
    const next = holder();
    meet(one, next);
    await pass(1_000);
    two.set({ status: 'invisible' });
    meet(two, next);
    await pass(1_000);
    expect(statuses()).toEqual(['busy', 'invisible']);
    expect(Socket.all.at(-1)?.texts).toEqual(['in a meeting', 'in a meeting']);
  });

  it('what is set counts as input', async () => {
    const first = holder();
    const tab = openTab();
    meet(tab, first);
    tab.connect();
    tab.input(AWAY_AFTER_MS);
    await pass(AWAY_AFTER_MS + 1_000);
    tab.set({ text: 'here' });
    await pass(10_000);
    dead.add(first);
    first.abandon();
    meet(tab, holder());
    await pass(1_000);
    expect(statuses()).toEqual(['online']);
  });
});
