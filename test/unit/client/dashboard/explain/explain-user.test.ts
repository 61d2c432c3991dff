/** When the user that is looked at is asked for again: real access, with answers and a clock that the test holds. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSignal } from '../../../../../client/dashboard/signal.ts';
import { createExplainUser, type ExplainUser } from '../../../../../client/dashboard/explain/explain-user.ts';
import { Access } from '../../../../../client/dashboard/hub/access.ts';
import type { Answer } from '../../../../../client/dashboard/hub/calls.ts';
import type { TailedChange } from '../../../../../client/dashboard/hub/wire.ts';

const changeOf = (user: string) => ({ entry: { user } }) as unknown as TailedChange;

describe('the user that is looked at', () => {
  let asked: { path: string; answer: (answer: Answer) => void }[];
  let explained: ExplainUser;

  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
  /** With a refusal in words, which is shown as it is: what an explanation holds is no matter here. */
  const answerTo = async (no: number, words: string): Promise<void> => {
    asked[no]!.answer({ kind: 'answered', status: 404, text: JSON.stringify({ detail: words }) });
    await pass(0);
  };
  const shown = (): string => {
    const state = explained.state.get();
    return state.kind === 'refused' ? state.why : state.kind;
  };

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    vi.stubGlobal('location', { pathname: '/admin', search: '', hash: '' });
    vi.stubGlobal('history', { pushState: () => undefined, replaceState: () => undefined });
    vi.stubGlobal('sessionStorage', { getItem: () => null, setItem: () => undefined, removeItem: () => undefined });
    vi.stubGlobal('addEventListener', () => undefined);
    asked = [];
    explained = createExplainUser(new Access(), {
      unreachableSince: createSignal<number | null>(null),
      send: ({ path }) => new Promise((answer) => asked.push({ path, answer })),
    });
    explained.start();
    explained.show('42');
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('is shown again with each answer, no matter how often it changes meanwhile', async () => {
    for (let no = 0; no < 3; no += 1) {
      for (let change = 0; change < 4; change += 1) {
        await pass(250);
        explained.receive([changeOf('42')]);
      }
      await answerTo(no, `answer ${no}`);
      expect(shown()).toBe(`404: answer ${no}`);
    }
  });

  it('is asked for once more after an answer, for all changes that came before it, and then every two seconds', async () => {
    for (let change = 0; change < 4; change += 1) explained.receive([changeOf('42'), changeOf('7')]);
    expect(asked).toHaveLength(1);
    await answerTo(0, 'first');
    expect(asked).toHaveLength(2);
    await answerTo(1, 'second');
    expect(asked).toHaveLength(2);
    await pass(2000);
    expect(asked).toHaveLength(3);
  });

  it('is not kept waiting by the answer about another one, which is dropped', async () => {
    explained.show('43');
    expect(asked.map(({ path }) => path)).toEqual(['/v1/users/42/explain', '/v1/users/43/explain']);
    explained.receive([changeOf('43')]);
    await answerTo(0, 'about 42');
    expect(asked).toHaveLength(2);
    expect(shown()).toBe('asking');
    await answerTo(1, 'about 43');
    expect(shown()).toBe('404: about 43');
    expect(asked).toHaveLength(3);
  });

  it('is asked for at once when it changes, and not if another one does', async () => {
    await answerTo(0, 'first');
    explained.receive([changeOf('7')]);
    expect(asked).toHaveLength(1);
    explained.receive([changeOf('42')]);
    expect(asked).toHaveLength(2);
  });
});
