/** Lists of bad elements: reading stops at the first, whatever the list holds. */
import { expect, test } from 'vitest';
import { clientMessages } from '../../../shared/messages/client-messages.ts';
import { friendsBody, importBody, presenceBody } from '../../../shared/messages/http-bodies.ts';

const many = <T>(value: T): T[] => Array.from({ length: 131_000 }, () => value);

test.each([
  ['friends', friendsBody, { friends: many(1) }, 'friends.0'],
  ['friends that end badly', friendsBody, { friends: [...many('7'), {}, {}] }, 'friends.131000'],
  ['users', presenceBody, { users: many(1) }, 'users.0'],
  ['too many users', presenceBody, { users: many(1).map((_, i) => i) }, 'users'],
  ['few bad users', presenceBody, { users: ['7', 1, 2, 3] }, 'users.1'],
  ['edges', importBody, { edges: many([]) }, 'edges'],
  ['few bad edges', importBody, { edges: [['7', '8'], ['7', ''], [], [1, 2]] }, 'edges.1.1'],
  ['an edge of many', importBody, { edges: [many(1), many(1)] }, 'edges.0'],
  ['a watch', clientMessages['watch (ids)'], { type: 'watch', users: many(1) }, 'users.0'],
  ['an unwatch', clientMessages['unwatch (ids)'], { type: 'unwatch', users: [1, 2, 3] }, 'users.0'],
])('%s: one issue, that names the first fault', (_, schema, value, path) => {
  const read = schema.safeParse(value);
  expect(read.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
});

test('a list that is too long is not looked into', () => {
  let looked = 0;
  const edges = new Proxy(many(['7', '9']), {
    get: (target, key): unknown => {
      if (typeof key === 'string' && /^\d/.test(key)) looked++;
      return Reflect.get(target, key);
    },
  });
  expect(importBody.safeParse({ edges }).success).toBe(false);
  expect(looked).toBe(0);
});

test('good lists are read as before: a set of ids in their order, and pairs as they are', () => {
  expect(presenceBody.parse({ users: ['9', '7', '9'] })).toEqual({ users: ['9', '7'] });
  expect(friendsBody.parse({ friends: [] })).toEqual({ friends: [] });
  expect(importBody.parse({ edges: [['7', '9']] })).toEqual({ edges: [['7', '9']] });
});
