/** A file of friendships read in pieces: what is taken, what is skipped, what is named. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EdgeLines } from '../../../../client/cli/import/edge-lines.ts';

function read(text: string, cuts: readonly number[] = []) {
  const lines = new EdgeLines();
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), text.length];
  const answers = bounds.slice(1).map((end, i) => lines.read(text.slice(bounds[i], end)));
  answers.push(lines.end());
  return {
    edges: answers.flatMap(({ edges }) => edges.map(({ line, edge }) => `${line}: ${edge.join(' ')}`)),
    bad: answers.flatMap(({ bad }) => bad.map(({ line, problem }) => `${line}: ${problem}`)),
    count: lines.count,
  };
}

describe('lines of user,friend', () => {
  it('may have a header, a byte order mark, CRLF, blanks, comments, spaces and quotes', () => {
    const text = '\ufeffuser,friend\r\n\r\n# from the old system\r\n42,7\r\n "42" , "9" \n1,2';
    expect(read(text)).toEqual({ edges: ['4: 42 7', '5: 42 9', '6: 1 2'], bad: [], count: 6 });
  });

  it('have their header after comments too, but only once', () => {
    expect(read('# made by hand\nUser,Friend\n1,2\nuser,friend\n').edges).toEqual(['3: 1 2', '4: user friend']);
  });

  it.each([
    ['42', 'it has 1 field instead of user,friend'],
    ['1,2,3', 'it has 3 fields instead of user,friend'],
    ['"1","2",', 'it has 3 fields instead of user,friend'],
    ['1,', 'an id is empty'],
    ['1,a b', '"a b" is not a user id'],
    ['1,"a,b"', '"a,b" is not a user id'],
    ['"a""b",1', '"a\\"b" is not a user id'],
    ['1,..', '".." is not a user id'],
    ['7,7', '7 cannot be their own friend'],
    ['"1,2', 'a quote is not closed, or is inside a field'],
    ['1"2,3', 'a quote is not closed, or is inside a field'],
    ['"1"2,3', 'a quote is not closed, or is inside a field'],
    [`${'x'.repeat(2_000)},1`, 'the line is too long'],
  ])('that are none are named, and the next one is taken: %s', (line, problem) => {
    expect(read(`1,2\n${line}\n3,4\n`)).toEqual({ edges: ['1: 1 2', '3: 3 4'], bad: [`2: ${problem}`], count: 3 });
  });

  it('say the same however they are cut into pieces', () => {
    const text = `user,friend\r\n1,2\r\n#c\r\n${'y'.repeat(3_000)}\r\n"3","4"\r\nbad\r\n5,6`;
    const whole = read(text);
    expect(whole.edges).toHaveLength(3);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 40 }), (cuts) => {
        expect(read(text, cuts)).toEqual(whole);
      }),
    );
  });

  it('that never end are not kept', () => {
    const lines = new EdgeLines();
    for (let i = 0; i < 100; i += 1) expect(lines.read('x'.repeat(10_000))).toEqual({ edges: [], bad: [] });
    expect(lines.read('\n1,2\n')).toMatchObject({
      edges: [{ line: 2 }],
      bad: [{ line: 1, problem: 'the line is too long' }],
    });
  });
});
