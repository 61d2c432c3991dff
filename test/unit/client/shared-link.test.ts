/** What tabs that share a connection know of each other's words, and what the one that holds it asks of them. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SharedLink } from '../../../client/sdk/tabs/shared-link.ts';
import type { FromTab, Port, SharedOptions, ToTab } from '../../../client/sdk/tabs/tab-protocol.ts';
import type { WebSocketLike } from '../../../client/sdk/types.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';

class NoSocket implements WebSocketLike {
  static all: NoSocket[] = [];
  readonly readyState = 0;
  readonly sent: { type: string; token?: string }[] = [];
  onopen: (() => void) | null = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor() {
    NoSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string });
  }

  close(): void {}
}

const options: SharedOptions = {
  url: 'ws://hub/ws',
  user: '42',
  device: 'web',
  mine: { status: 'away', text: 'at first' },
  hasToken: false,
};

interface TestTab {
  readonly received: ToTab[];
  readonly say: (word: FromTab) => void;
  /** How many times it was asked for a token. */
  readonly asked: () => number;
  readonly giveToken: (token: string | null) => void;
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** `lives`: answers at once whatever wants an answer, as a page does that is not frozen. */
function tabOf(link: SharedLink, lives = true): TestTab {
  const received: ToTab[] = [];
  const port: Port<ToTab> = {
    postMessage: (word) => {
      received.push(word);
      if (lives && word[0] === 'ask') say(['ping', performance.now()]);
    },
    close: () => undefined,
    onmessage: null,
  };
  const say = link.attach(port);
  const questions = (): (ToTab & { 0: 'getToken' })[] => received.filter((word) => word[0] === 'getToken');
  return {
    received,
    say,
    asked: () => new Set(questions().map(([, no]) => no)).size,
    giveToken: (token: string | null) => say(['token', questions().at(-1)![1], token]),
  };
}

let link: SharedLink;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  NoSocket.all = [];
});
afterEach(async () => {
  link.abandon();
  await pass(10_000);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

it('a tab that comes later learns what was set before, so that it can begin with it if it takes over', () => {
  link = new SharedLink(options, NoSocket, () => undefined);
  tabOf(link).say(['set', { status: 'invisible' }]);
  expect(tabOf(link).received).toContainEqual(['set', { status: 'invisible', text: 'at first' }]);
});

async function connectWithTokens(...tabs: (() => TestTab)[]): Promise<TestTab[]> {
  link = new SharedLink({ ...options, hasToken: true }, NoSocket, () => undefined);
  const made = tabs.map((make) => make());
  made.at(-1)!.say(['connect']);
  await vi.dynamicImportSettled();
  await pass(0);
  return made;
}
const tokenUsed = (): string | undefined => {
  NoSocket.all.at(-1)?.onopen?.();
  return NoSocket.all.at(-1)?.sent[0]?.token;
};
const living = (): TestTab => tabOf(link);
const frozen = (): TestTab => tabOf(link, false);

it.each([4_000, 12_000, 30_000])('waits for a tab that takes %d ms to give a token, and asks no other', async (ms) => {
  const [other, tab] = await connectWithTokens(living, living);
  await pass(ms);
  expect([other!.asked(), tab!.asked()]).toEqual([0, 1]);
  tab!.giveToken('late');
  await pass(0);
  expect(tokenUsed()).toBe('late');
});

it('asks the next tab when one fails, is gone or does not answer', async () => {
  const [gone, failing, silent] = await connectWithTokens(living, living, frozen);
  silent!.say(['ping', 0]);
  expect([gone!.asked(), failing!.asked(), silent!.asked()]).toEqual([0, 0, 1]);
  await pass(6_000);
  expect([gone!.asked(), failing!.asked(), silent!.asked()]).toEqual([0, 1, 1]);
  failing!.giveToken(null);
  await pass(0);
  expect(gone!.asked()).toBe(1);
  const late = living();
  gone!.say(['close']);
  await pass(3_000);
  expect(late.asked()).toBe(1);
  // Whoever is the first to give one.
  silent!.giveToken('after all');
  await pass(0);
  expect(tokenUsed()).toBe('after all');
});

it('asks again after a while when no tab gives one, and takes no answer to an earlier question', async () => {
  const [tab] = await connectWithTokens(living);
  tab!.giveToken(null);
  await pass(1_000);
  expect(tab!.asked()).toBe(2);
  const questions = tab!.received.filter((word) => word[0] === 'getToken');
  tab!.say(['token', questions[0]![1], 'too late']);
  await pass(0);
  expect(NoSocket.all).toHaveLength(0);
  tab!.giveToken('in time');
  await pass(0);
  expect(tokenUsed()).toBe('in time');
});

describe('a tab that says nothing', () => {
  const news = (at: number): HubMessage => ({ type: 'presence', entries: [], at });
  const receives = (message: HubMessage): void =>
    (NoSocket.all.at(-1) as unknown as { onmessage: (event: { data: string }) => void }).onmessage({
      data: JSON.stringify(message),
    });
  const welcome: HubMessage = {
    type: 'welcome',
    session: 's',
    heartbeatMs: 10_000,
    timeoutMs: 25_000,
    node: 'n',
    protocol: 1,
  };
  const newsOf = ({ received }: TestTab): number =>
    received.filter(([name, word]) => name === 'onMessage' && word.type === 'presence').length;

  const begin = (): [TestTab, TestTab] => {
    link = new SharedLink(options, NoSocket, () => undefined);
    const tabs: [TestTab, TestTab] = [tabOf(link, false), tabOf(link)];
    for (const { say } of tabs) say(['ping', 0]);
    tabs[0].say(['connect']);
    receives(welcome);
    return tabs;
  };

  it('gets nothing more after 15 s, and a new welcome and snapshots when it speaks again', async () => {
    const [frozen, hidden] = begin();
    for (let s = 0; s < 60; s += 10) {
      await pass(10_000); // no news: nobody has to say anything
      receives({ type: 'ok', re: 'beat' });
    }
    for (let s = 0; s < 60; s++) {
      receives(news(s));
      receives({ type: 'ok', re: 'beat' });
      await pass(1_000);
    }
    expect(newsOf(hidden)).toBe(60);
    expect(newsOf(frozen)).toBeGreaterThan(10);
    expect(newsOf(frozen)).toBeLessThan(18);
    const before = frozen.received.length;
    receives(news(60));
    expect(frozen.received).toHaveLength(before);
    frozen.say(['ping', 0]);
    expect(frozen.received.slice(before)).toContainEqual(['onMessage', welcome]);
    receives(news(61));
    expect(newsOf(frozen)).toBeLessThan(19);
    expect(frozen.received.at(-1)).toEqual(['onMessage', news(61)]);
  });
});
