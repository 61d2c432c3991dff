import { describe, expect, test } from 'vitest';
import { RequestTurns } from '../../../server/sockets/ws/request-turns.ts';

/** A loop whose turns a test ends, and whose requests take 1/64 of a millisecond each. */
class Stage {
  nowMs = 0;
  readonly answered: string[] = [];
  #afterTurn: (() => void)[] = [];
  readonly turns = new RequestTurns({
    turnMs: 2,
    leastTasks: 4,
    now: () => this.nowMs,
    afterTurn: (run) => this.#afterTurn.push(run),
  });

  ask(connection: object, name: string): boolean {
    return this.turns.run(connection, () => {
      this.nowMs += 1 / 64;
      this.answered.push(name);
    });
  }

  endTurn(): void {
    for (const run of this.#afterTurn.splice(0)) run();
  }
}

describe('the turns of HTTP requests', () => {
  test('a request is answered at once while the turn has time', () => {
    const stage = new Stage();
    expect(stage.ask({}, 'a')).toBe(false);
    expect(stage.answered).toEqual(['a']);
  });

  test('what one connection asks beyond two milliseconds of a turn waits for the next', () => {
    const stage = new Stage();
    const one = {};
    const waits = Array.from({ length: 261 }, (_, i) => stage.ask(one, String(i)));
    expect(waits.indexOf(true)).toBe(128);
    expect(stage.answered).toHaveLength(128);
    stage.endTurn();
    expect(stage.answered).toHaveLength(256);
    stage.endTurn();
    expect(stage.answered).toEqual(Array.from({ length: 261 }, (_, i) => String(i)));
  });

  test('a connection that asks once is answered before those that go on and on, and each in its order', () => {
    const stage = new Stage();
    const [busy, calm] = [{}, {}];
    for (let i = 0; i < 131; i++) stage.ask(busy, `busy ${i}`);
    stage.ask(calm, 'calm');
    stage.endTurn();
    expect(stage.answered.slice(128)).toEqual(['calm', 'busy 128', 'busy 129', 'busy 130']);
  });

  test('those that ask once and those that go on alternate, so that neither keeps the other waiting', () => {
    const stage = new Stage();
    const busy = {};
    for (let i = 0; i < 131; i++) stage.ask(busy, `busy ${i}`);
    for (let i = 0; i < 3; i++) stage.ask({}, `once ${i}`);
    stage.endTurn();
    expect(stage.answered.slice(128)).toEqual(['once 0', 'busy 128', 'once 1', 'busy 129', 'once 2', 'busy 130']);
  });

  test('a connection whose request waits is not overtaken by its own next one', () => {
    const stage = new Stage();
    const one = {};
    for (let i = 0; i < 129; i++) stage.ask(one, String(i));
    stage.nowMs = -100;
    stage.ask(one, '129');
    stage.endTurn();
    expect(stage.answered.slice(128)).toEqual(['128', '129']);
  });

  test('what waits of a connection that has closed is forgotten', () => {
    const stage = new Stage();
    const one = {};
    for (let i = 0; i < 130; i++) stage.ask(one, String(i));
    stage.turns.forget(one);
    stage.endTurn();
    expect(stage.answered).toHaveLength(128);
  });

  test('a few requests are answered at once, however long each takes', () => {
    const stage = new Stage();
    const waits = Array.from({ length: 70 }, () => {
      stage.nowMs += 100;
      return stage.ask({}, 'slow');
    });
    expect(waits.indexOf(true)).toBe(4);
  });

  test('while connections are accepted, each turn does one task, so that the next connection is accepted soon', () => {
    const stage = new Stage();
    const busy = {};
    for (let i = 0; i < 131; i++) stage.ask(busy, `busy ${i}`);
    stage.answered.length = 0;
    for (let turn = 1; turn <= 3; turn++) {
      stage.turns.hurry();
      expect(stage.ask({}, `new ${turn}`)).toBe(true);
      stage.endTurn();
      expect(stage.answered).toHaveLength(turn);
    }
    stage.endTurn();
    stage.endTurn();
    expect(stage.answered).toHaveLength(6);
  });
});
