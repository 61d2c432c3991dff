import { expect, it } from 'vitest';
import { isUserId, USER_ID } from '../../../../client/page/user-id.ts';
import { userId } from '../../../../shared/index.ts';

const ids = [
  '42',
  '042',
  'a.b',
  '...',
  'x'.repeat(128),
  'a_b@c:d-e',
  '',
  '.',
  '..',
  ' 42',
  'a b',
  'ü',
  'a/b',
  '<b>',
  '4\n',
];

it('the page’s form of a user id is the contract’s', () => {
  for (const id of [...ids, 'x'.repeat(129)]) expect([id, isUserId(id)]).toEqual([id, userId.safeParse(id).success]);
});

it('a field’s pattern, which a browser reads with the flag v, says the same', () => {
  const pattern = new RegExp(`^(?:${USER_ID})$`, 'v');
  for (const id of ids) expect([id, pattern.test(id)]).toEqual([id, isUserId(id)]);
});
