import { describe, expect, test } from 'vitest';
import { CodeTable } from '../../../server/presence/legacy-codes.ts';

function tableOf(setting: string | null): CodeTable {
  const parsed = CodeTable.parse(setting);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

describe('the contract’s table (I8)', () => {
  test('shows -1, 1, 2 and 3, and invisible as offline', () => {
    const table = tableOf(null);
    expect((['offline', 'online', 'away', 'busy', 'invisible'] as const).map((status) => table.codeOf(status))).toEqual(
      [-1, 1, 2, 3, -1],
    );
  });

  test('understands its own integers, and any other positive one as online', () => {
    const table = tableOf(null);
    expect([1, 2, 3, 4, 77, 2_147_483_647].map((code) => table.statusOf(code))).toEqual([
      'online',
      'away',
      'busy',
      'online',
      'online',
      'online',
    ]);
  });
});

describe.each([
  ['a list', 'online=5, away=2|12 ,busy=3,offline=-9,invisible=40|41'],
  ['JSON', '{"online":5,"away":[2,12],"busy":[3],"offline":-9,"invisible":[40,41]}'],
])('HUB_CODES as %s (T6)', (_, setting) => {
  const table = tableOf(setting);

  test('shows the first integer of each status, and never the one of invisible', () => {
    expect([table.codeOf('online'), table.codeOf('away'), table.codeOf('busy')]).toEqual([5, 2, 3]);
    expect([table.codeOf('offline'), table.codeOf('invisible')]).toEqual([-9, -9]);
  });

  test('understands every listed integer', () => {
    expect([5, 2, 12, 3, 40, 41, 1].map((code) => table.statusOf(code))).toEqual([
      'online',
      'away',
      'away',
      'busy',
      'invisible',
      'invisible',
      'online',
    ]);
  });
});

test('a status that is left out keeps the contract’s integer', () => {
  const table = tableOf('away=20|21');
  expect([table.codeOf('busy'), table.codeOf('away'), table.statusOf(2)]).toEqual([3, 20, 'online']);
});

test('offline may be shown as 0', () => {
  expect(tableOf('offline=0').codeOf('offline')).toBe(0);
});

test.each([
  ['online', 'must be one JSON object, or a list'],
  ['online=1=2', 'must be one JSON object, or a list'],
  ['{"online":1', 'must be one JSON object'],
  ['here=1', 'names "here"'],
  ['away=2,away=12', 'names away twice'],
  ['away=', 'gives away the code ""'],
  ['away=2|', 'gives away the code ""'],
  ['away=two', 'gives away the code two'],
  ['away=0', 'gives away the code 0'],
  ['away=-2', 'gives away the code -2'],
  ['away=2147483648', 'gives away the code 2147483648'],
  ['{"away":2.5}', 'gives away the code 2.5'],
  ['{"away":"2"}', 'gives away the code "2"'],
  ['{"away":[]}', 'gives away no integer'],
  ['{"offline":[]}', 'gives offline the code ""'],
  ['offline=-1|-2', 'gives offline several integers'],
  ['offline=9', 'gives offline the code 9'],
  ['away=12|12', 'lists 12 twice for away'],
  ['away=3', 'lists 3 for both away and busy'],
])('%s is refused: it %s', (setting, problem) => {
  expect(CodeTable.parse(setting)).toEqual({ ok: false, problem: expect.stringContaining(problem) as string });
});
