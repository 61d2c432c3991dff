/** What the page says: of faces, of friends and of the connection. */
import { describe, expect, test } from 'vitest';
import { avatarOf } from '../../../../client/page/avatar.ts';
import {
  describeConnection,
  isFollowing,
  describeLastSeen,
  statusLabel,
} from '../../../../client/page/descriptions.ts';

const MINUTE = 60_000;
const now = new Date(2026, 10, 22, 12, 3, 20).getTime();

test.each([
  ['alan.2', 'A2'],
  ['friend.1204', 'F04'],
  ['ana-maria@chat.example', 'AM'],
  ['demo', 'DE'],
  ['x', 'X'],
  ['1204', '04'],
  ['@', '@'],
])('%s has the initials %s', (user, initials) => expect(avatarOf(user).initials).toBe(initials));

test('a face is the same each time, and neighbours have colours apart', () => {
  expect(avatarOf('f1')).toEqual(avatarOf('f1'));
  const hues = Array.from({ length: 360 }, (_, i) => avatarOf(`f${i}`).hue);
  expect(hues.every((hue) => hue >= 0 && hue < 360)).toBe(true);
  expect(new Set(hues.map((hue) => Math.floor(hue / 45))).size).toBe(8);
});

describe('of a friend', () => {
  const friend = { user: '7', code: -1, since: 1, lastSeen: now - 3 * MINUTE, devices: [], v: 5 } as const;
  test('last seen is shown only of offline friends, and only if it is known', () => {
    expect(describeLastSeen({ ...friend, devices: [], status: 'offline' }, now)).toBe('Last seen 3 minutes ago');
    expect(describeLastSeen({ ...friend, devices: [], status: 'online' }, now)).toBeUndefined();
    expect(describeLastSeen({ ...friend, devices: [], status: 'offline', lastSeen: null }, now)).toBeUndefined();
    const never = { ...friend, devices: [], status: 'offline', lastSeen: null, since: null, v: 0 } as const;
    expect(describeLastSeen({ ...never, devices: [] }, now)).toBe('Never online yet');
  });
  test('what was last known is not said as if it were so', () => {
    expect(statusLabel('online', false)).toBe('Online');
    expect(statusLabel('online', true)).toBe('Was online');
  });
});

test.each([
  [{ kind: 'live' }, 'Live', true],
  [{ kind: 'connecting', isRetry: false }, 'Connecting…', false],
  [{ kind: 'behind', since: now, why: 'reconnecting' }, 'As of 12:03, reconnecting…', false],
  [{ kind: 'behind', since: now, why: 'no network' }, 'As of 12:03: this device is not connected to a network', false],
  [{ kind: 'behind', since: now, why: 'hub unsure' }, 'As of 12:03: some friends may still be reconnecting', true],
  [{ kind: 'behind', since: now, why: 'token refused' }, 'As of 12:03: the hub no longer accepts the token', false],
  [{ kind: 'refused', why: 'No.', wantsToken: false, isOver: true }, 'No.', false],
] as const)('of a connection: %j', (connection, words, follows) => {
  expect(describeConnection(connection, now)).toBe(words);
  expect(isFollowing(connection)).toBe(follows);
});
