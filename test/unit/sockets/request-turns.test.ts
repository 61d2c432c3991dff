import { describe, expect, test } from 'vitest';
import { RequestTurns } from '../../../server/sockets/request-turns.ts';

/** A loop whose turns a test ends, and whose requests take an eighth of a millisecond each. */
class Stage {
  nowMs = 0;
  readonly answered: string[] = [];
  #afterTurn: (() => void)[] = [];
  readonly turns = new RequestTurns({ now: () => this.nowMs, afterTurn: (run) => this.#afterTurn.push(run) });

  ask(connection: object, name: string): boolean {
    return this.turns.run(connection, () => {
      this.nowMs += 0.125;
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

  test('what one connection asks beyond ten milliseconds of a turn waits for the next', () => {
    const stage = new Stage();
    const one = {};
    const waits = Array.from({ length: 165 }, (_, i) => stage.ask(one, String(i)));
    expect(waits.indexOf(true)).toBe(80);
    expect(stage.answered).toHaveLength(80);
    stage.endTurn();
    expect(stage.answered).toHaveLength(160);
    stage.endTurn();
    expect(stage.answered).toEqual(Array.from({ length: 165 }, (_, i) => String(i)));
  });

  test('connections take turns, and each is answered in its order', () => {
    const stage = new Stage();
    const [busy, calm] = [{}, {}];
    for (let i = 0; i < 83; i++) stage.ask(busy, `busy ${i}`);
    stage.ask(calm, 'calm');
    stage.endTurn();
    expect(stage.answered.slice(80)).toEqual(['busy 80', 'calm', 'busy 81', 'busy 82']);
  });

  test('a connection whose request waits is not overtaken by its own next one', () => {
    const stage = new Stage();
    const one = {};
    for (let i = 0; i < 81; i++) stage.ask(one, String(i));
    stage.nowMs = -100;
    stage.ask(one, '81');
    stage.endTurn();
    expect(stage.answered.slice(80)).toEqual(['80', '81']);
  });

  test('what waits of a connection that has closed is forgotten', () => {
    const stage = new Stage();
    const one = {};
    for (let i = 0; i < 82; i++) stage.ask(one, String(i));
    stage.turns.forget(one);
    stage.endTurn();
    expect(stage.answered).toHaveLength(80);
  });

  test('a few requests are answered at once, however long each takes', () => {
    const stage = new Stage();
    const waits = Array.from({ length: 70 }, () => {
      stage.nowMs += 100;
      return stage.ask({}, 'slow');
    });
    expect(waits.indexOf(true)).toBe(64);
  });
});
