/** Questions between nodes, on an in-memory post and with a timer that the test moves. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Calls } from '../../../server/cluster/calls.ts';

const TURN = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Post {
  readonly nodes = new Map<string, Calls>();
  readonly sent: string[] = [];
  readonly warnings: string[] = [];
  readonly timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  isDown = false;

  add(inc: string): Calls {
    const calls = new Calls({
      inc: () => inc,
      send: async (to, text) => {
        if (this.isDown) throw new Error('away');
        this.sent.push(to);
        for (const [name, node] of this.nodes) if (to === '*' || to === name) queueMicrotask(() => node.receive(text));
      },
      after: (ms, run) => {
        const timer = { ms, run };
        this.timers.add(timer);
        return () => void this.timers.delete(timer);
      },
      warn: (text) => void this.warnings.push(text),
    });
    this.nodes.set(inc, calls);
    return calls;
  }
}

describe('requests between nodes', () => {
  let post: Post;
  let a: Calls;
  let b: Calls;
  let c: Calls;
  beforeEach(() => {
    post = new Post();
    [a, b, c] = [post.add('a'), post.add('b'), post.add('c')];
  });

  it('are answered by each node that was asked, even later, and name the sender', async () => {
    b.on('kick', (payload, from) => ({ payload, from }));
    c.on('kick', async () => {
      await TURN();
      return null;
    });
    const answers = await a.call(['b', 'c'], 'kick', { user: '42' }, 500);
    expect([...answers]).toEqual([
      ['b', { payload: { user: '42' }, from: 'a' }],
      ['c', null],
    ]);
    expect(post.timers.size).toBe(0);
    expect(post.sent).toEqual(['*', 'a', 'a', 'a']);
  });

  it('go to one node only if one is asked, even if that is the sender', async () => {
    a.on('explain', () => 'own');
    b.on('explain', () => 'other');
    expect([...(await a.call(['b'], 'explain', '42', 500))]).toEqual([['b', 'other']]);
    expect([...(await a.call(['a'], 'explain', '42', 500))]).toEqual([['a', 'own']]);
    expect(post.sent).toEqual(['b', 'a', 'a', 'a']);
  });

  it('to no node are answered at once', async () => {
    expect((await a.call([], 'kick', null, 500)).size).toBe(0);
    expect(post.sent).toEqual([]);
  });

  it('return the answers that arrived by the timeout, and ignore later ones', async () => {
    let answerLate: (value: string) => void = () => undefined;
    b.on('kick', () => 'in time');
    c.on('kick', () => new Promise((resolve) => (answerLate = resolve)));
    const asked = a.call(['b', 'c'], 'kick', null, 500);
    await TURN();
    const [timer] = post.timers;
    expect(timer?.ms).toBe(500);
    timer?.run();
    const answers = await asked;
    answerLate('too late');
    await TURN();
    expect([...answers]).toEqual([['b', 'in time']]);
  });

  it('that fail or are unknown do not wait for an answer', async () => {
    b.on('kick', () => {
      throw new Error('no such session');
    });
    expect((await a.call(['b', 'c'], 'kick', null, 500)).size).toBe(0);
    expect(post.warnings).toContain("a question of a (kick) can't be answered: no such session");
    expect(post.warnings).toContain("a question of a (kick) can't be answered: this release does not know it");
  });

  it('that cannot be sent return nothing', async () => {
    post.isDown = true;
    expect((await a.call(['b'], 'kick', null, 500)).size).toBe(0);
    expect(post.timers.size).toBe(0);
  });

  it('ignore an answer from a node that was not asked, a second answer, and an invalid one', async () => {
    b.on('kick', () => new Promise(() => undefined));
    const asked = a.call(['b'], 'kick', null, 500);
    const answer = { t: 'answer', id: 'a.1', from: 'b', hasFailed: false, payload: 1 };
    for (const text of [
      '',
      '{',
      '7',
      JSON.stringify({ ...answer, from: 7 }),
      JSON.stringify({ ...answer, from: 'x' }),
    ]) {
      a.receive(text);
    }
    a.receive(JSON.stringify(answer));
    a.receive(JSON.stringify({ ...answer, payload: 2 }));
    expect([...(await asked)]).toEqual([['b', 1]]);
  });
});
