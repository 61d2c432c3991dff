/** Decides which nodes are alive, by their counters and the engine clock. */
import { describe, expect, it } from 'vitest';
import type { Member, MemberState } from '../../../server/cluster/engine.ts';
import { MemberList } from '../../../server/cluster/members.ts';

const LEASE_MS = 6000;
/** How long an answer takes. */
const ASKED_BEFORE_MS = 20;

/** Answers of an engine, once a second. */
class Stage {
  readonly list = new MemberList(LEASE_MS);
  readonly members = new Map<string, Member>();
  now = 50_000;
  replicas: number | undefined;

  constructor(...names: string[]) {
    for (const inc of names) this.set(inc, 'live');
    this.answer();
  }

  set(inc: string, state: MemberState): void {
    this.members.set(inc, { inc, state, beat: (this.members.get(inc)?.beat ?? 0) + 1, facts: '' });
  }

  answer(): void {
    const { replicas } = this;
    this.list.update(
      { members: [...this.members.values()], history: 'h', replicas, erasedAt: 0 },
      this.now - ASKED_BEFORE_MS,
      this.now,
    );
  }

  pass(seconds: number, ...beating: string[]): void {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      for (const inc of beating) this.set(inc, 'live');
      this.answer();
    }
  }

  get due(): string[] {
    return this.list.due().map(({ inc }) => inc);
  }
}

describe('the members', () => {
  it('are declared dead after one lease of silence, and suspected before', () => {
    const stage = new Stage('a', 'b', 'c');
    stage.pass(3, 'a', 'b');
    expect(stage.list.silent(3000).map(({ inc }) => inc)).toEqual(['c']);
    expect(stage.due).toEqual([]);
    stage.pass(3, 'a', 'b');
    expect(stage.due).toEqual(['c']);
  });

  it('do not age while the engine is silent or this node is stopped', () => {
    const stage = new Stage('a', 'b', 'c');
    stage.now += 60_000;
    stage.answer();
    expect(stage.due).toEqual([]);
    expect(stage.list.silentMs('c')).toBe(1500);
  });

  it('were all alive at the request before the one whose answer shows the last renewal', () => {
    const stage = new Stage('a', 'b');
    expect(stage.list.allAliveAtMs).toBe(-Infinity);
    stage.pass(4, 'a', 'b');
    expect(stage.now - stage.list.allAliveAtMs).toBe(1000 + ASKED_BEFORE_MS);
    stage.pass(2, 'a');
    expect(stage.now - stage.list.allAliveAtMs).toBe(3000 + ASKED_BEFORE_MS);
    // The engine is away.
    stage.now += 60_000;
    expect(stage.now - stage.list.allAliveAtMs).toBe(63_000 + ASKED_BEFORE_MS);
  });

  it('get twice the lease if most of them fall silent at once', () => {
    const stage = new Stage('a', 'b', 'c');
    stage.pass(11, 'a');
    expect(stage.due).toEqual([]);
    stage.pass(1, 'a');
    expect(stage.due).toEqual(['b', 'c']);
  });

  it('are not declared dead for 30 s after replicas were lost', () => {
    const stage = new Stage('a', 'b', 'c');
    stage.replicas = 1;
    stage.pass(2, 'a', 'b', 'c');
    stage.replicas = 0;
    stage.pass(29, 'a', 'b');
    expect(stage.due).toEqual([]);
    stage.pass(5, 'a', 'b');
    expect(stage.due).toEqual(['c']);
  });

  it('are dead from the answer that reports it', () => {
    const stage = new Stage('a', 'b');
    stage.set('b', 'dead');
    stage.pass(1, 'a');
    expect([stage.list.hasEnded('b'), stage.list.endedMs('b')]).toEqual([true, 0]);
    stage.pass(3, 'a');
    expect(stage.list.endedMs('b')).toBe(3000);
    expect(stage.list.live()).toEqual(['a']);
  });

  it('count as dead from the end of their lease if this node learns of it soon after, so that their sessions do not outlive the grace (C10)', () => {
    const stage = new Stage('a', 'b', 'c');
    stage.pass(6, 'a', 'c');
    const declareDead = (): void => void stage.members.set('b', { ...stage.members.get('b')!, state: 'dead' });
    declareDead();
    stage.now += 400;
    stage.answer();
    expect(stage.list.endedMs('b')).toBe(400);
    stage.pass(1, 'a', 'c');
    expect(stage.list.endedMs('b')).toBe(1400);
  });

  it('count as dead from when this node learns of it, if it was not at the end of their lease', () => {
    const [early, late] = [3, 12].map((silentS) => {
      const stage = new Stage('a', 'b', 'c');
      stage.pass(silentS, 'a', 'c');
      stage.members.set('b', { ...stage.members.get('b')!, state: 'dead' });
      stage.now += 400;
      stage.answer();
      return stage.list.endedMs('b');
    });
    expect([early, late]).toEqual([0, 0]);
  });

  it('are waited for after an outage: silent ones shortly, slow ones longer, and none forever (C14)', () => {
    const stage = new Stage('a', 'b', 'c');
    const before = stage.list.beats();
    stage.members.set('a', { inc: 'a', state: 'live', beat: 2, facts: 'h url' });
    stage.pass(3, 'b');
    const haveWritten = (waitedMs: number): boolean => stage.list.haveWritten('h', before, 'a', waitedMs);
    expect([2000, 3000, 11_000].map(haveWritten)).toEqual([false, false, true]);
    stage.members.set('b', { inc: 'b', state: 'live', beat: 9, facts: 'h url' });
    stage.answer();
    expect([2000, 3000].map(haveWritten)).toEqual([false, true]);
  });

  it('that were seen alive are waited for until their lease ends, because they may come back (C14)', () => {
    const stage = new Stage('a', 'b');
    stage.pass(1, 'a', 'b');
    const before = stage.list.beats();
    const haveWritten = (waitedMs: number): boolean => stage.list.haveWritten('h', before, 'a', waitedMs);
    stage.pass(4, 'a');
    expect(haveWritten(4000)).toBe(false);
    stage.pass(3, 'a');
    expect(haveWritten(7000)).toBe(true);
  });
});
