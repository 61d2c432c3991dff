/** Uptime equals a count of every single millisecond, for any span and any gaps. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryTransition } from '../../../server/history/port.ts';
import { Uptime, type Sums } from '../../../server/history/uptime.ts';
import type { UserStatus } from '../../../shared/status.ts';

const END = 200;
const status = fc.constantFrom<UserStatus>('online', 'away', 'busy', 'offline');
const one = (at: number, from: UserStatus, to: UserStatus): HistoryTransition => ({
  at,
  from,
  to,
  cause: 'set',
  merged: null,
});
const gap = fc.tuple(fc.nat(END), fc.nat(60)).map(([from, length]) => ({ from, to: from + length }));

describe('uptime', () => {
  it('adds up to the span, and equals the count of milliseconds', () => {
    const life = fc.array(fc.tuple(fc.integer({ min: 1, max: 25 }), status), { maxLength: 12 });
    fc.assert(
      fc.property(
        life,
        status,
        fc.array(gap, { maxLength: 3 }),
        fc.array(gap, { maxLength: 3 }),
        fc.nat(END),
        fc.nat(120),
        fc.nat(END),
        fc.nat(END),
        (steps, first, gaps, ownGaps, from, length, began, now) => {
          const transitions: HistoryTransition[] = [];
          let last = first;
          let at = 0;
          for (const [ms, to] of steps) {
            at += ms;
            if (to !== last) transitions.push(one(at, last, to));
            last = to;
          }
          const span = { from, to: from + length };
          const truth: Sums = { online: 0, away: 0, busy: 0, offline: 0, unknown: 0 };
          for (let ms = span.from; ms < span.to; ms++) {
            const now_ = transitions.findLast((t) => t.at <= ms)?.to ?? first;
            const isIn = (some: readonly { from: number; to: number }[]) => some.some((g) => ms >= g.from && ms < g.to);
            const isUnknown = ms < began || ms >= now || isIn(gaps) || (now_ !== 'offline' && isIn(ownGaps));
            truth[isUnknown ? 'unknown' : now_]++;
          }
          const begin = Math.max(from, began);
          const uptime = new Uptime(
            span,
            { from: began, to: now },
            gaps,
            ownGaps,
            transitions.findLast((t) => t.at < begin),
          );
          const later = transitions.filter((t) => t.at >= begin);
          for (const t of later) if (t.at < span.to) uptime.add(t);
          const next = later.find((t) => t.at >= span.to);
          expect(uptime.end(next?.from ?? last, next?.at ?? Math.max(from + length, END))).toEqual(truth);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps the times of merged transitions, and divides them if the span cuts them', () => {
    const merged = { firstAt: 100, online: 30, away: 60, busy: 10, offline: 0 };
    const transition: HistoryTransition = { at: 200, from: 'offline', to: 'busy', cause: 'set', merged };
    const sums = (from: number, to: number) => {
      const uptime = new Uptime({ from, to }, { from: 0, to: 1000 }, [], [], undefined);
      uptime.add(transition);
      return uptime.end('busy', to);
    };
    expect(sums(0, 300)).toEqual({ offline: 100, online: 30, away: 60, busy: 110, unknown: 0 });
    const half = sums(150, 300);
    expect(half).toEqual({ offline: 0, online: 15, away: 30, busy: 105, unknown: 0 });
    const odd = sums(143, 199);
    expect(Object.values(odd).reduce((a, b) => a + b)).toBe(56);
  });

  it('places a transition that an unclean end lost in the gap of that end', () => {
    const uptime = new Uptime(
      { from: 0, to: 1000 },
      { from: 0, to: 1000 },
      [{ from: 300, to: 400 }],
      [],
      one(0, 'offline', 'online'),
    );
    expect(uptime.end('offline', 1000)).toEqual({ online: 300, away: 0, busy: 0, offline: 600, unknown: 100 });
  });

  it('does not say which status held between two gaps, in one of which a transition was lost (H33)', () => {
    const gaps = [
      { from: 300, to: 400 },
      { from: 500, to: 550 },
      { from: 700, to: 800 },
    ];
    const span = { from: 0, to: 1000 };
    const uptime = new Uptime(span, span, gaps, [], one(0, 'offline', 'online'));
    expect(uptime.end('away', 1000)).toEqual({ online: 300, away: 200, busy: 0, offline: 0, unknown: 500 });
  });

  it('keeps the earlier status in a span before the gap in which a transition was lost (H33)', () => {
    const gaps = [{ from: 300, to: 400 }];
    const uptime = new Uptime({ from: 100, to: 200 }, { from: 0, to: 1000 }, gaps, [], one(0, 'offline', 'away'));
    expect(uptime.end('online', 900)).toEqual({ online: 0, away: 100, busy: 0, offline: 0, unknown: 0 });
  });
});
