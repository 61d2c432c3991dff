/** What every engine of a cluster promises: see server/cluster/engine.ts. The suite runs over each of them. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ALL_NODES, MAX_DIRECT_MESSAGE_BYTES, type Engine, type Operation } from '../../server/cluster/engine.ts';
import { readMessage } from '../../server/cluster/record/message.ts';

/** What the engine received by itself. */
export interface Received {
  readonly messages: { readonly bucket: number; readonly text: string }[];
  readonly states: ('away' | 'back')[];
  readonly directMessages: string[];
}

export interface EngineUnderTest {
  readonly engine: Engine;
  readonly received: Received;
  flush(): Promise<void>;
  /** Faults of the connection, and their end: closed; or requests arrive, but their answers do not. */
  cut(): void;
  loseAnswers(): void;
  mend(): void;
  /** The server is suspended, and then handles what it was sent. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

let ops = 0;
function operation(more: Partial<Operation> = {}): Operation {
  const base = { user: '42', bucket: 1, inc: 'a', expect: 0, floor: 0, isShown: true, body: '{}\t{}', pushed: '{}' };
  return { ...base, op: `a.${++ops}`, joins: [], leaves: [], steps: [], ...more };
}

export function clusterEngineContract(start: () => Promise<EngineUnderTest>): void {
  let under: EngineUnderTest;
  let engine: Engine;
  beforeEach(async () => {
    under = await start();
    ({ engine } = under);
  });
  afterEach(() => under.close());

  /** All that was published once `count` messages have arrived, and none more. */
  async function published(count: number): Promise<Received['messages']> {
    await expect.poll(() => under.received.messages.length, { timeout: 3000 }).toBeGreaterThanOrEqual(count);
    await engine.read(0, []);
    expect(under.received.messages).toHaveLength(count);
    return under.received.messages;
  }

  /** Resolved once the engine answers again. */
  async function usable(): Promise<void> {
    await expect
      .poll(
        () =>
          engine.read(1, []).then(
            () => true,
            () => false,
          ),
        { timeout: 8000 },
      )
      .toBe(true);
  }

  async function done(more: Partial<Operation> = {}): Promise<{ n: number; v: number; op: string }> {
    const answer = await engine.change(operation(more));
    if (answer.kind !== 'ok') throw new Error(`answered ${answer.kind}`);
    return answer.stamp;
  }

  it('knows nothing at first', async () => {
    const nothing = { last: '-', clock: 0, epoch: 0, records: [undefined] };
    expect(await engine.read(1, ['42'])).toEqual(nothing);
  });

  it('stores, stamps and reads a record', async () => {
    const { n, v, op } = await done();
    expect(v).toBe(n);
    const { last, clock, records } = await engine.read(1, ['42', '7']);
    expect({ last, clock }).toEqual({ last: op, clock: n });
    expect(records).toMatchObject([{ n, v, op, body: '{}\t{}' }, undefined]);
  });

  it('changes only the record that the caller saw, and otherwise returns the present one', async () => {
    const first = await done();
    const moved = await engine.change(operation({ body: '{}\t{"b":[]}' }));
    expect(moved).toMatchObject({ kind: 'moved', record: { n: first.n, body: '{}\t{}' } });
    expect((await engine.change(operation({ user: '7', expect: 5 }))).kind).toBe('moved');
  });

  it('applies an operation once, no matter how often it is sent', async () => {
    const twice = operation();
    await engine.change(twice);
    expect(await engine.change(twice)).toMatchObject({ kind: 'done', record: { op: twice.op } });
    await published(1);
  });

  it('gives strictly growing stamps above every floor, and keeps v if a change is not shown', async () => {
    const first = await done();
    const second = await done({ expect: first.n, floor: first.n + 1_000_000 });
    expect(second.n).toBe(first.n + 1_000_001);
    const third = await done({ expect: second.n, isShown: false });
    expect([third.n, third.v]).toEqual([second.n + 1, second.n]);
    expect((await done({ user: '7' })).n).toBe(third.n + 1);
  });

  it('publishes each operation with the one before it, and ticks with the state', async () => {
    const first = await done();
    const second = await done({ expect: first.n });
    await engine.tick(1);
    const messages = (await published(3)).map(({ bucket, text }) => ({ bucket, message: readMessage(text) }));
    expect(messages).toMatchObject([
      {
        bucket: 1,
        message: { operation: { user: '42', before: '-', stored: { n: first.n, body: '{}' } } },
      },
      { bucket: 1, message: { operation: { before: first.op, stored: { n: second.n } } } },
      { bucket: 1, message: { link: { last: second.op, before: second.op, epoch: 0 } } },
    ]);
  });

  it('forgets a record unless it is another one by now, and keeps the largest number that it has forgotten', async () => {
    const self = { inc: 'x', beat: 1, state: 'live', facts: '' } as const;
    expect((await engine.renew(self)).erasedAt).toBe(0);
    const first = await done();
    const second = await done({ expect: first.n });
    await engine.forget(1, '42', first.n);
    expect((await engine.read(1, ['42'])).records).toMatchObject([{ n: second.n }]);
    await engine.forget(1, '42', second.n);
    await engine.forget(1, '42', first.n);
    expect((await engine.read(1, ['42'])).records).toEqual([undefined]);
    expect(await engine.renew({ ...self, beat: 2 })).toMatchObject({
      erasedAt: second.n,
      members: [{ inc: 'x', state: 'live' }],
    });
    expect((await done()).n).toBeGreaterThan(second.n);
  });

  it('starts an epoch above the floor, once', async () => {
    const { n, op } = await done();
    const epoch = await engine.epoch(1, n + 50_000, 'a.e1');
    expect(epoch).toBeGreaterThan(n + 50_000);
    expect(await engine.epoch(1, n, 'a.e2')).toBe(epoch);
    expect(await engine.read(1, [])).toMatchObject({ last: 'a.e1', clock: epoch, epoch });
    const last = (await published(2)).at(-1);
    expect(readMessage(last?.text ?? '')).toMatchObject({ link: { last: 'a.e1', before: op, epoch } });
  });

  it('lists members by their last renewal, and keeps its history', async () => {
    const first = await engine.renew({ inc: 'a', beat: 1, state: 'live', facts: '-' });
    const second = await engine.renew({ inc: 'b', beat: 7, state: 'left', facts: '' });
    expect(second.history).toBe(first.history);
    expect(second.members).toEqual([
      { inc: 'a', beat: 1, state: 'live', facts: '-' },
      { inc: 'b', beat: 7, state: 'left', facts: '' },
    ]);
  });

  it('declares only a node dead that is still silent, and permanently', async () => {
    await engine.renew({ inc: 'a', beat: 3, state: 'live', facts: '' });
    expect(await engine.declareDead('a', 2)).toBe(false);
    expect(await engine.declareDead('a', 3)).toBe(true);
    expect(await engine.declareDead('a', 3)).toBe(false);
    const { members } = await engine.renew({ inc: 'a', beat: 4, state: 'live', facts: '' });
    expect(members).toMatchObject([{ inc: 'a', state: 'dead' }]);
  });

  it('refuses a fenced incarnation in that bucket, and returns its users', async () => {
    const { n } = await done({ joins: ['a'] });
    await done({ user: '7', joins: ['a'] });
    await done({ expect: n, inc: 'b', leaves: ['a'], joins: ['b'] });
    expect(await engine.fence(1, 'a')).toEqual(['7']);
    expect((await engine.change(operation({ user: '8' }))).kind).toBe('fenced');
    expect((await engine.change(operation({ user: '8', bucket: 2 }))).kind).toBe('ok');
    expect((await engine.change(operation({ user: '8', inc: 'aa' }))).kind).toBe('ok');
    expect(await engine.fence(1, 'aa')).toEqual([]);
    expect((await engine.change(operation({ user: '9' }))).kind).toBe('fenced');
  });

  it('has another history after a flush', async () => {
    const self = { inc: 'a', beat: 1, state: 'live', facts: '' } as const;
    const { history } = await engine.renew(self);
    await under.flush();
    expect((await engine.renew(self)).history).not.toBe(history);
  });

  it('reports `away` while it is cut off, rejects requests, and then reports `back`', async () => {
    expect(under.received.states).toEqual(['back']);
    under.cut();
    await expect(engine.change(operation())).rejects.toThrow();
    await expect.poll(() => under.received.states).toEqual(['back', 'away']);
    await expect(engine.read(1, ['42'])).rejects.toThrow();
    under.mend();
    await expect.poll(() => under.received.states, { timeout: 8000 }).toEqual(['back', 'away', 'back']);
    expect((await engine.read(1, ['42'])).records).toEqual([undefined]);
    await done();
    await published(1);
  });

  it('rejects an operation if its answer is lost, and answers `done` to the next attempt', async () => {
    const twice = operation();
    under.loseAnswers();
    await expect(engine.change(twice)).rejects.toThrow();
    under.mend();
    await usable();
    expect(await engine.change(twice)).toMatchObject({ kind: 'done', record: { op: twice.op } });
  });

  it('applies requests that were sent during a pause at most once', async () => {
    under.pause();
    const twice = operation();
    await expect(engine.change(twice)).rejects.toThrow();
    expect(under.received.states).toEqual(['back', 'away']);
    under.resume();
    await expect.poll(() => under.received.states.at(-1), { timeout: 8000 }).toBe('back');
    const { kind } = await engine.change(twice);
    expect(['ok', 'done']).toContain(kind);
    expect((await engine.change(twice)).kind).toBe('done');
    expect((await engine.change(operation())).kind).toBe('moved');
  });

  const live = (inc: string, beat: number): Promise<unknown> => engine.renew({ inc, beat, state: 'live', facts: '' });

  it('delivers direct messages to one incarnation from its first renewal on, and to all', async () => {
    await engine.send('a', 'too early');
    await live('a', 1);
    await engine.send('b', 'for another one');
    await engine.send('a', 'héllo\t\n😀');
    await engine.send(ALL_NODES, 'for all');
    await expect.poll(() => under.received.directMessages).toEqual(['héllo\t\n😀', 'for all']);
    await published(0);
  });

  it('receives direct messages to its new incarnation, and no longer that to the previous one', async () => {
    await live('a', 1);
    await live('b', 1);
    await engine.send('a', 'late');
    await engine.send('b', 'right');
    await expect.poll(() => under.received.directMessages).toEqual(['right']);
  });

  it('receives direct messages again after it was cut off', async () => {
    await live('a', 1);
    under.cut();
    await expect.poll(() => under.received.states).toEqual(['back', 'away']);
    await expect(engine.send('a', 'lost')).rejects.toThrow();
    under.mend();
    await expect.poll(() => under.received.states, { timeout: 8000 }).toEqual(['back', 'away', 'back']);
    await engine.send('a', 'found');
    await expect.poll(() => under.received.directMessages).toEqual(['found']);
  });

  it('sends the longest direct message, and rejects a longer one', async () => {
    await live('a', 1);
    const longest = 'é'.repeat(MAX_DIRECT_MESSAGE_BYTES / 2);
    await expect(engine.send('a', `${longest}x`)).rejects.toThrow('the message is too long');
    await engine.send('a', longest);
    await expect.poll(() => under.received.directMessages.map(({ length }) => length)).toEqual([longest.length]);
  });

  it('publishes nothing twice, and in order', async () => {
    let { n } = await done();
    for (let i = 0; i < 20; i++) ({ n } = await done({ expect: n }));
    const ns = (await published(21)).map(({ text }) => Number(text.split('\t')[1]?.split(' ')[0]));
    expect(ns).toEqual([...ns].sort((a, b) => a - b));
    expect(ns.at(-1)).toBe(n);
  });
}
