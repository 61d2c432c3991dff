/** The watch that is read without the parser is the message that the parser reads. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPlainWatch } from '../../../../server/adapters/ws-json/messages/read-watch.ts';
import { parseClientMessage } from '../../../../shared/messages/client-messages.ts';
import { FanoutStage } from '../../../support/fanout-stage.ts';

const watchOf = (users: readonly string[]): string => JSON.stringify({ type: 'watch', users });

/** The ids that are read without the parser, each once. */
function idsIn(json: string): readonly string[] | undefined {
  const read = readPlainWatch(json);
  return read?.ok === true && 'users' in read.message ? read.message.users : undefined;
}

describe('a watch that is read without the parser', () => {
  const id = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('7', '9', '42', 'a.b', 'A_z:@-', '...', '.a', 'a.') },
    { weight: 1, arbitrary: fc.constantFrom('.', '..', '', 'a b', 'é', 'x'.repeat(128), 'x'.repeat(129)) },
  );
  const json = fc.array(id, { maxLength: 5 }).map(watchOf);
  /** Some characters less, more or other; most stay as they are. */
  const cut = fc.record({
    at: fc.nat(50),
    drop: fc.nat(2),
    put: fc.constantFrom('', ' ', '"', ',', ']', '}', '\\u0061', '\\', 'x', '1', '[', ',"since":1'),
  });
  const text = fc
    .tuple(json, fc.oneof(fc.constant([]), fc.array(cut, { minLength: 1, maxLength: 2 })))
    .map(([whole, cuts]) =>
      cuts.reduce((left, { at, drop, put }) => left.slice(0, at) + put + left.slice(at + drop), whole),
    );

  it('is what the parser reads, whatever comes', { timeout: 120_000 }, () => {
    let taken = 0;
    fc.assert(
      fc.property(text, (frame) => {
        const read = readPlainWatch(frame);
        if (read === undefined) return;
        taken++;
        expect(read).toStrictEqual(parseClientMessage(frame));
      }),
      { numRuns: 100_000 },
    );
    expect(taken).toBeGreaterThan(20_000);
  });

  it('is taken as every JSON library writes it, with up to a thousand ids of up to 128 characters', () => {
    for (const count of [1, 2, 50, 1000]) {
      const ids = Array.from({ length: count }, (_, i) => `user-${i}`);
      expect(idsIn(watchOf(ids))).toEqual(ids);
    }
    expect(idsIn(watchOf(['x'.repeat(128)]))).toEqual(['x'.repeat(128)]);
  });

  it.each([
    ['1001 ids', watchOf(Array.from({ length: 1001 }, (_, i) => `u${i}`))],
    ['an id of 129 characters', watchOf(['x'.repeat(129)])],
    ['no ids', watchOf([])],
    ['a dot for an id', watchOf(['7', '..'])],
    ['white space', '{"type":"watch", "users":["7"]}'],
    ['a since', '{"type":"watch","users":["7"],"since":1}'],
    ['an id of its own', '{"type":"watch","users":["7"],"id":1}'],
    ['escapes', '{"type":"watch","users":["\\u0037"]}'],
    ['more behind it', '{"type":"watch","users":["7"]}}'],
    ['an unwatch', '{"type":"unwatch","users":["7"]}'],
    ['a heartbeat', '{"type":"heartbeat"}'],
    ['nothing', ''],
  ])('goes the plain way with %s', (_, frame) => {
    expect(readPlainWatch(frame)).toBeUndefined();
  });
});

it('is not kept in memory by the ids that it names', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heldBytes = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const stage = new FanoutStage();
  const { outbox } = stage.open();
  const known = 'k'.repeat(128);
  const watch = (no: number): void => {
    const json = watchOf([`user-of-13-${no}`, ...Array.from({ length: 110 }, () => known)]);
    stage.fanout.watchUsers(outbox, idsIn(json)!, undefined, undefined);
  };
  for (let no = 1000; no < 2000; no++) watch(no);
  const before = heldBytes();
  for (let no = 2000; no < 4000; no++) watch(no);
  // The messages alone are 28 MB.
  expect((heldBytes() - before) / 2000).toBeLessThan(2_500);
});
