/** A user with two hundred thousand watchers: how long a turn of the event loop is while they are notified, and what they are sent. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Outbox } from '../../server/fanout/delivery/outbox.ts';
import { LARGE_AUDIENCE } from '../../server/fanout/reports.ts';
import type { SendResult } from '../../server/sockets/port.ts';
import { FakeSocket, FanoutStage, type FanoutStageOptions } from '../support/fanout-stage.ts';
import { observer } from '../support/presence-stage.ts';

const EVERY_MS = 50;

describe('two hundred thousand watchers', () => {
  /** Keeps the last entry that it was sent. */
  class LastOnly extends FakeSocket {
    static sent = 0;
    versions: number[] = [];

    override send(message: string | Uint8Array): SendResult {
      LastOnly.sent++;
      const text = typeof message === 'string' ? message : new TextDecoder().decode(message);
      if (text.startsWith('{"type":"presence"')) this.versions.push(Number(/"v":(\d+)/.exec(text)?.[1]));
      return 'sent';
    }
  }

  const crowd = (options: FanoutStageOptions): { stage: FanoutStage; sockets: LastOnly[] } => {
    const stage = new FanoutStage(options);
    const sockets = Array.from({ length: 200_000 }, (_, n) => {
      const socket = new LastOnly();
      const outbox = new Outbox(socket, { maxQueuedBytes: Infinity, clock: stage.core.clock });
      outbox.viewer = observer('crowd');
      // Half of them watch the star itself, the others a friend list of their own that holds it.
      if (n % 2 === 0) stage.fanout.watchUsers(outbox, ['star'], undefined, undefined);
      else {
        stage.lists.add({ user: `w${n}`, friend: 'star' }, 1);
        stage.fanout.watchFriends(outbox, `w${n}`, undefined, undefined);
      }
      return socket;
    });
    return { stage, sockets };
  };

  it('are notified in short steps, and in order also if the user changes meanwhile', async () => {
    const { stage, sockets } = crowd({ reportEveryMs: EVERY_MS });
    const { reports } = stage.fanout;
    const steps: { readonly ms: number; readonly sent: number }[] = [];
    const flush = reports.flush.bind(reports);
    reports.flush = (isForced) => {
      const before = LastOnly.sent;
      const begunAt = process.cpuUsage();
      const entriesAMessage = flush(isForced);
      const { user, system } = process.cpuUsage(begunAt);
      steps.push({ ms: (user + system) / 1000, sent: LastOnly.sent - before });
      return entriesAMessage;
    };
    const session = stage.core.begin('star', { text: '1' });
    // Until the code is warm.
    while (!reports.pending.isEmpty || steps.length === 0) await nextTurn();
    steps.length = 0;
    stage.core.clock.pass(EVERY_MS);
    stage.core.say(session, { text: '2' });
    for (let change = 3; change < 5; change++) {
      const until = steps.length + 30;
      while (steps.length < until) await nextTurn();
      stage.core.clock.pass(EVERY_MS);
      stage.core.say(session, { text: String(change) });
    }
    const isDone = (): boolean => reports.pending.isEmpty;
    while (!isDone()) {
      stage.core.clock.pass(EVERY_MS);
      await nextTurn();
    }
    const { v } = stage.core.entry('star');
    for (const { versions } of sockets) {
      if (versions.at(-1) !== v) throw new Error('a watcher was not sent the last state');
      if (versions.some((version, i) => i > 0 && version <= versions[i - 1]!)) throw new Error('versions must grow');
    }
    expect(Math.max(...steps.map(({ sent }) => sent))).toBeLessThanOrEqual(2 * LARGE_AUDIENCE);
    expect(steps.length).toBeGreaterThanOrEqual(100);
    // All but three, which may have had to collect garbage.
    const lengths = steps.map(({ ms }) => ms).sort((a, b) => a - b);
    expect(lengths.at(-4)).toBeLessThan(20);
  });
});
