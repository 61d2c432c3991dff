/**
 * The lines of the command line, in the order in which a terminal shows them that knows text from right to left: such a
 * terminal and a browser follow the same algorithm, and a browser says where it puts each word.
 */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderExplanation } from '../../client/cli/terminal/explained-text.ts';
import { renderTable } from '../../client/cli/terminal/friend-table.ts';
import type { Explanation } from '../../shared/index.ts';
import { asSeen } from '../support/bidi.ts';
import { launchChromium } from '../support/chromium.ts';
import { needing } from '../support/needs.ts';

const NOW = 1_767_225_600_000;
const entry = { user: '7', status: 'online', code: 1, since: NOW, lastSeen: NOW, v: 5 } as const;

describe('lines for a terminal', needing('Chromium'), () => {
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    browser = await launchChromium();
    page = await browser.newPage();
  });
  afterAll(() => browser.close());

  /** The words of the line that holds the first of them. */
  const seenIn = async (lines: readonly string[], words: readonly string[]) => {
    await page.setContent('<pre></pre>');
    const pre = page.locator('pre');
    await pre.evaluate(
      (shown, text) => (shown.textContent = text),
      lines.find((line) => line.includes(words[0]!)) ?? '',
    );
    return asSeen(pre, words);
  };
  const table = (columns: number, text: string) => {
    const entries = [{ ...entry, devices: ['מכשיר', '１２'], text }];
    const view = { isSynced: true, staleSince: null, status: 'connected' } as const;
    return renderTable({ title: '', entries, view, nowMs: NOW, columns, rows: 24, hasColour: false });
  };

  it('of watch keep their columns, whatever friends and devices are called', async () => {
    const order = ['● 7', 'online', 'מכשיר', '１２', '34 words'];
    expect(await seenIn(table(100, '34 words'), order)).toEqual(order);
    // What has no room ends at its own end, which is at the left.
    const cut = ['● 7', 'online', 'מכשיר', '１２', '…', 'א'];
    expect(await seenIn(table(60, 'א'.repeat(60)), cut)).toEqual(cut);
  });

  it('of explain keep their columns, too', async () => {
    const session: Explanation['sessions'][number] = {
      id: 'x.1',
      state: 'live',
      adapter: 'http',
      device: 'מכשיר',
      address: null,
      status: 'online',
      code: 1,
      text: 'שלום words',
      connectedAt: NOW,
      lastHeartbeatAt: NOW,
      leaseEndsAt: NOW + 5_000,
      decides: true,
    };
    const lines = renderExplanation({
      user: '7',
      at: NOW,
      entry: { ...entry, devices: ['מכשיר'], text: 'שלום words' },
      decision: { status: 'online', code: 1, session: 'x.1', rule: 'its only session says online' },
      hidden: { isInvisible: false, from: [], fromCount: 0 },
      sessions: [session, { ...session, id: 'x.2', device: 'ב', decides: false }],
      transitions: [],
      transitionsSince: NOW,
    });
    const order = ['x.2', 'http', 'ב', 'online', 'connected', 'ends in', 'words'];
    expect(await seenIn(lines, order)).toEqual(order);
    expect(await seenIn(lines, ['text', 'words'])).toEqual(['text', 'words']);
  });
});
