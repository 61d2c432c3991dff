import { describe, expect, it } from 'vitest';
import { closeCodes, errorCodes } from '../../../shared/reasons.ts';
import { hubMessage } from '../../../shared/messages/hub-messages.ts';

const seven = {
  user: '7',
  status: 'online',
  code: 1,
  since: 1767225600000,
  lastSeen: 1767225600000,
  devices: ['legacy', 'web'],
  text: 'in a meeting',
  v: 1767225600001,
} as const;
const never = { user: '9', status: 'offline', code: -1, since: null, lastSeen: null, devices: [], v: 0 } as const;

describe('a message of the hub', () => {
  it.each<[string, object]>([
    [
      'a welcome',
      { type: 'welcome', session: 's', user: '42', heartbeatMs: 10000, timeoutMs: 25000, node: 'n', protocol: 1 },
    ],
    [
      'a welcome of an observer without a user',
      { type: 'welcome', session: 's', heartbeatMs: 10000, timeoutMs: 25000, node: 'n', protocol: 1 },
    ],
    ['a snapshot of friends', { type: 'snapshot', friendsOf: '42', at: 1767225600001, entries: [seven, never] }],
    ['a snapshot of nobody', { type: 'snapshot', re: 'w', friendsOf: '42', at: 0, entries: [] }],
    ['a snapshot of users', { type: 'snapshot', users: ['7', '9'], at: 1767225600001, entries: [seven, never] }],
    [
      'a snapshot since an instant',
      { type: 'snapshot', friendsOf: '42', at: 2, since: 1, removed: ['7'], entries: [never] },
    ],
    ['changes', { type: 'presence', entries: [seven] }],
    ['changes with an at', { type: 'presence', entries: [seven, never], at: 1767225600001 }],
    ['a new friend', { type: 'friend', friendsOf: '42', op: 'add', entry: never }],
    ['a friend no longer', { type: 'friend', friendsOf: '42', op: 'remove', user: '7' }],
    ['the end of a watch of friends', { type: 'unwatched', re: 1, friendsOf: '42' }],
    ['the end of a watch of users', { type: 'unwatched', users: ['7'] }],
    ['an ok', { type: 'ok', re: 7 }],
    ['oneself, invisible', { type: 'self', status: 'invisible', text: 'in a meeting', devices: ['phone', 'web'] }],
    ['oneself, offline', { type: 'self', status: 'offline', devices: [] }],
    ['stale', { type: 'stale', since: 1767225600001 }],
    ['fresh', { type: 'fresh', at: 1767225600001 }],
    ['reconnect', { type: 'reconnect', afterMs: 1234 }],
    ['an error', { type: 'error', re: 'w', code: 'bad_message', message: 'user: must be a user id' }],
  ])('is of its form, and no field of it is lost: %s', (_what, message) => {
    expect(hubMessage.parse(message)).toEqual(message);
  });

  it.each<[string, object]>([
    ['an entry that reveals who is invisible', { type: 'presence', entries: [{ ...seven, status: 'invisible' }] }],
    ['an entry without a version', { type: 'presence', entries: [{ ...seven, v: undefined }] }],
    ['an entry whose text is too long', { type: 'presence', entries: [{ ...seven, text: 'x'.repeat(141) }] }],
    ['a snapshot without its at', { type: 'snapshot', friendsOf: '42', entries: [] }],
    ['a snapshot of nothing', { type: 'snapshot', at: 1, entries: [] }],
    ['a friend without an op', { type: 'friend', friendsOf: '42', user: '7' }],
    ['an ok to nothing', { type: 'ok' }],
    ['an error that no table has', { type: 'error', code: 'oops', message: '' }],
    [
      'a welcome of another protocol',
      { type: 'welcome', session: 's', heartbeatMs: 1, timeoutMs: 2, node: 'n', protocol: 2 },
    ],
    ['a type that nobody knows', { type: 'poke' }],
  ])('is never: %s (I14)', (_what, message) => {
    expect(hubMessage.safeParse(message).success).toBe(false);
  });
});

describe('the codes', () => {
  it('of errors are those of the contract', () => {
    expect(Object.keys(errorCodes).sort()).toEqual(
      'bad_message forbidden hello_first internal rate_limited too_many unauthenticated unavailable unknown_type'.split(
        ' ',
      ),
    );
  });

  it('of closes are those of the contract, and each reason fits a close frame (W46)', () => {
    const all = Object.values(closeCodes);
    expect([...new Set(all.map(({ code }) => code))]).toEqual([
      1000, 1008, 1009, 1012, 1013, 4400, 4401, 4403, 4408, 4429,
    ]);
    for (const { meaning } of all) expect(Buffer.byteLength(meaning)).toBeLessThanOrEqual(123);
  });
});
