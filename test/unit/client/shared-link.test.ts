/** What tabs that share a connection know of each other's words. */
import { expect, it } from 'vitest';
import { SharedLink } from '../../../client/sdk/shared-link.ts';
import type { FromTab, Port, SharedOptions, ToTab } from '../../../client/sdk/tab-words.ts';
import type { WebSocketLike } from '../../../client/sdk/types.ts';

class NoSocket implements WebSocketLike {
  readonly readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  send(): void {}
  close(): void {}
}

const options: SharedOptions = {
  url: 'ws://hub/ws',
  user: '42',
  device: 'web',
  mine: { status: 'away', text: 'at first' },
  hasToken: false,
};

function tabOf(link: SharedLink): { heard: ToTab[]; say: (word: FromTab) => void } {
  const heard: ToTab[] = [];
  const port: Port<ToTab> = { postMessage: (word) => void heard.push(word), close: () => undefined, onmessage: null };
  return { heard, say: link.attach(port) };
}

it('a tab that comes later learns what was set before, so that it can begin with it where it takes over', () => {
  const link = new SharedLink(options, NoSocket, () => undefined);
  tabOf(link).say(['set', { status: 'invisible' }]);
  expect(tabOf(link).heard).toContainEqual(['set', { status: 'invisible', text: 'at first' }]);
  link.abandon();
});
