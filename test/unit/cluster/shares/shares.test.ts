/** Which node does what several could do: agreed on by direct messages, and the same on all of them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Calls } from '../../../../server/cluster/calls.ts';
import { chooseOwner, digestOf } from '../../../../server/cluster/shares/rendezvous.ts';
import { Shares } from '../../../../server/cluster/shares/shares.ts';

const ITEMS = Array.from({ length: 300 }, (_, i) => `item-${i}`);

class Node {
  readonly calls: Calls;
  readonly shares: Shares;
  readonly inc: string;
  changes = 0;

  constructor(inc: string, stage: Stage) {
    this.inc = inc;
    this.calls = new Calls({
      inc: () => inc,
      send: async (to, text) => {
        if (stage.isLosing) return;
        for (const node of stage.nodes)
          if (to === '*' || to === node.inc) queueMicrotask(() => node.calls.receive(text));
      },
      after: (_ms, run) => {
        stage.timers.add(run);
        return () => void stage.timers.delete(run);
      },
      warn: () => undefined,
    });
    this.shares = new Shares({
      calls: this.calls,
      inc: () => inc,
      isUp: () => stage.isUp,
      nowMs: () => stage.nowMs,
      members: {
        live: () => stage.nodes.map((node) => node.inc),
        silent: () => [...stage.silent].map((silent) => ({ inc: silent, state: 'live', beat: 1, facts: '' })),
        hasEnded: (other) => !stage.nodes.some((node) => node.inc === other),
      },
    });
    this.shares.onChange.push(() => this.changes++);
  }

  get owned(): string[] {
    return ITEMS.filter((item) => this.shares.isMine('poll', item));
  }
}

class Stage {
  nodes: Node[] = [];
  readonly silent = new Set<string>();
  readonly timers = new Set<() => void>();
  isUp = true;
  isLosing = false;
  nowMs = 0;

  add(inc: string, items: readonly string[]): Node {
    const node = new Node(inc, this);
    this.nodes.push(node);
    node.shares.offer('poll', items);
    return node;
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      for (const { shares } of this.nodes) shares.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { shares } of this.nodes) shares.tick();
  }

  /** Whatever was asked and not answered has waited long enough. */
  runOut(): void {
    for (const run of this.timers) run();
    this.timers.clear();
  }
}

describe('shares', () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
  });

  it('give each item to one of the nodes that offer it, about as many to each', async () => {
    for (const inc of ['a', 'b', 'c']) stage.add(inc, ITEMS);
    await stage.settle();
    const owned = stage.nodes.map((node) => node.owned);
    expect(owned.flat().sort()).toEqual([...ITEMS].sort());
    for (const items of owned) expect(items.length).toBeGreaterThan(60);
  });

  it('give an item to the only node that offers it, and take no item before the offers of the others arrive', async () => {
    const [a, b] = [stage.add('a', ITEMS), stage.add('b', ITEMS.slice(1))];
    a.shares.tick();
    expect(a.owned).toEqual([]);
    await stage.settle();
    expect(a.owned).toContain(ITEMS[0]);
    expect(b.owned).not.toContain(ITEMS[0]);
    expect(a.shares.isOfferedElsewhere('poll', ITEMS[0]!)).toBe(false);
    expect(b.shares.isOfferedElsewhere('poll', ITEMS[0]!)).toBe(true);
  });

  it('move only items of a silent or dead node, and otherwise only to a new node', async () => {
    const [a, b] = ['a', 'b', 'c'].map((inc) => stage.add(inc, ITEMS)) as [Node, Node];
    await stage.settle();
    const before = new Set(a.owned);
    stage.silent.add('c');
    await stage.settle();
    expect(a.owned).toEqual(expect.arrayContaining([...before]));
    expect([...a.owned, ...b.owned].sort()).toEqual([...ITEMS].sort());
    stage.silent.clear();
    await stage.settle();
    expect(new Set(a.owned)).toEqual(before);
    stage.nodes = [a, b];
    await stage.settle();
    expect([...a.owned, ...b.owned].sort()).toEqual([...ITEMS].sort());
  });

  it('stay as they are while the store is away', async () => {
    const [a] = [stage.add('a', ITEMS), stage.add('b', ITEMS)];
    await stage.settle();
    const before = a.owned;
    stage.isUp = false;
    stage.nodes = [a];
    await stage.settle();
    expect(a.owned).toEqual(before);
  });

  it('send lost offers again, and continue without a node that does not answer', async () => {
    stage.isLosing = true;
    const [a, b] = [stage.add('a', ITEMS), stage.add('b', ITEMS)];
    await stage.settle();
    expect(a.owned).toEqual([]);
    stage.nowMs = 3000;
    await stage.settle();
    expect(a.owned).toEqual(ITEMS);
    stage.isLosing = false;
    stage.runOut();
    await stage.settle();
    expect([...a.owned, ...b.owned].sort()).toEqual([...ITEMS].sort());
  });

  it('report a change of the offers', async () => {
    const [a, b] = [stage.add('a', ITEMS), stage.add('b', ITEMS)];
    await stage.settle();
    const { changes } = a;
    b.shares.offer('poll', []);
    await stage.settle();
    expect(a.owned).toEqual(ITEMS);
    expect(a.changes).toBeGreaterThan(changes);
  });

  it('send offers in parts if they do not fit into one message', async () => {
    const many = Array.from({ length: 30_100 }, (_, i) => `target-${i}`);
    const [a, b] = [stage.add('a', many), stage.add('b', many)];
    await stage.settle();
    const some = many.filter((_, i) => i % 100 === 0);
    const isOneOf = some.every((item) => a.shares.isMine('poll', item) !== b.shares.isMine('poll', item));
    expect(isOneOf).toBe(true);
  });

  it('ignore invalid messages, and offers of a dead node', async () => {
    const a = stage.add('a', ITEMS);
    const ask = (from: string, payload: object): void =>
      a.calls.receive(JSON.stringify({ t: 'ask', id: '1', from, kind: 'offers', payload }));
    ask('x', { list: 'l', part: 0, parts: 1, items: ITEMS.map((item) => digestOf(`poll ${item}`)).join('') });
    ask('a', { list: 1 });
    await stage.settle();
    expect(a.owned).toEqual(ITEMS);
  });
});

describe('the owner of an item', () => {
  it('does not depend on the order of the candidates', () => {
    for (const item of ITEMS) {
      const digest = digestOf(item);
      expect(chooseOwner(digest, ['a', 'b', 'c'])).toBe(chooseOwner(digest, ['c', 'a', 'b']));
    }
    expect(chooseOwner('x', [])).toBeUndefined();
  });
});
