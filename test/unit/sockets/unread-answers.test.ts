/** Answers that their clients have not read: whose connection is cut when they are too many. */
import { describe, expect, it } from 'vitest';
import { UnreadAnswers } from '../../../server/sockets/unread-answers.ts';

function stage() {
  let nowMs = 0;
  const cut: string[] = [];
  const unread = new UnreadAnswers({ maxBytes: 100, now: () => nowMs });
  return {
    unread,
    cut,
    pass: (ms: number) => (nowMs += ms),
    hold: (name: string, address: string, bytes: number) => unread.hold(address, bytes, () => cut.push(name)),
  };
}

describe('unread answers', () => {
  it('cut nobody while they fit', () => {
    const { hold, pass, unread, cut } = stage();
    hold('a', '1', 60);
    pass(5000);
    hold('b', '2', 40);
    expect([unread.bytes, cut]).toEqual([100, []]);
  });

  it('cut the oldest of the address that has most of them', () => {
    const { hold, pass, unread, cut } = stage();
    hold('other', '2', 30);
    hold('first', '1', 20);
    hold('second', '1', 20);
    hold('third', '1', 20);
    pass(1000);
    hold('new', '3', 25);
    expect([unread.bytes, cut]).toEqual([95, ['first']]);
  });

  it('give each client a second, unless there are four times too many', () => {
    const { hold, pass, unread, cut } = stage();
    hold('a', '1', 150);
    hold('b', '1', 150);
    hold('c', '1', 90);
    expect(cut).toEqual([]);
    hold('d', '1', 20);
    expect(cut).toEqual(['a']);
    pass(1000);
    unread.check();
    expect([unread.bytes, cut]).toEqual([20, ['a', 'b', 'c']]);
  });

  it('count no more once they are read, however often that is said', () => {
    const { hold, pass, unread, cut } = stage();
    const end = hold('a', '1', 90);
    end();
    end();
    expect(unread.bytes).toBe(0);
    hold('b', '1', 90);
    pass(1000);
    end();
    expect([unread.bytes, cut]).toEqual([90, []]);
  });
});
