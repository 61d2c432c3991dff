/** Who stands where after a comparison: turns, medians, ratios and goals. */
import { describe, expect, test } from 'vitest';
import { inTurn, judge, ratioOf, sentenceOf, spreadOf, type Run } from '../../bench/lib/comparison-results.ts';

/** One run for each figure, in rounds 1, 2, 3 and so on; null: no run in that round. */
function runsOf(figures: Readonly<Record<string, readonly (number | null)[]>>, name = 'cpu'): Run[] {
  return Object.entries(figures).flatMap(([candidate, values]) =>
    values.flatMap((value, index) =>
      value === null
        ? []
        : [{ candidate, round: index + 1, figures: { [name]: value }, remarks: [], isDisturbed: false }],
    ),
  );
}

describe('turns', () => {
  test('each round starts with the next candidate and has each once', () => {
    const rounds = [0, 1, 2, 3].map((no) => inTurn(['hub', 'uws', 'ws'], no).join(' '));
    expect(rounds).toEqual(['hub uws ws', 'uws ws hub', 'ws hub uws', 'hub uws ws']);
  });

  test('nobody takes part in no turn', () => {
    expect(inTurn([], 3)).toEqual([]);
  });
});

describe('medians', () => {
  test('an even number of values has the mean of the middle two', () => {
    expect(spreadOf([9, 1, 3, 5])).toEqual({ median: 4, least: 1, most: 9 });
  });
});

describe('ratios', () => {
  test('the ratio is that of the medians, and its spread is that of single rounds', () => {
    // The medians are 12 and 10; the rounds alone say 2, 1 and 1.
    const runs = runsOf({ hub: [20, 12, 8], uws: [10, 12, 8] });
    expect(ratioOf(runs, 'uws', 'cpu')).toEqual({ against: 'uws', median: 1.2, least: 1, most: 2 });
  });

  test('a round in which one of the two has no figure counts for the median of the other alone', () => {
    const runs = runsOf({ hub: [10, 20, 30], uws: [10, null, 10] });
    expect(ratioOf(runs, 'uws', 'cpu')).toEqual({ against: 'uws', median: 2, least: 1, most: 3 });
  });

  test('there is none without a run of the reference, and none for a figure that nobody has', () => {
    const runs = runsOf({ hub: [10], uws: [] });
    expect(ratioOf(runs, 'uws', 'cpu')).toBeUndefined();
    expect(ratioOf(runsOf({ hub: [1], uws: [1] }), 'uws', 'p99')).toBeUndefined();
  });

  test('a disturbed run counts for nothing', () => {
    const runs = runsOf({ hub: [10, 99, 10], uws: [5, 5, 5] });
    const marked = runs.map((run) => ({ ...run, isDisturbed: run.figures['cpu'] === 99 }));
    expect(ratioOf(marked, 'uws', 'cpu')).toEqual({ against: 'uws', median: 2, least: 2, most: 2 });
    expect(
      ratioOf(
        runs.map((run) => ({ ...run, isDisturbed: true })),
        'uws',
        'cpu',
      ),
    ).toBeUndefined();
  });

  test('runs of others do not count', () => {
    const runs = runsOf({ hub: [10], uws: [5], ws: [1000] });
    expect(ratioOf(runs, 'uws', 'cpu')?.median).toBe(2);
  });
});

describe('goals', () => {
  const runs = runsOf({ hub: [11.5], uws: [10] });

  test('a ratio that is just what was asked for is reached, and one above is missed', () => {
    const verdicts = judge(
      runs,
      [
        { against: 'uws', atMost: 1.15 },
        { against: 'uws', atMost: 1.14 },
      ],
      'cpu',
    );
    expect(verdicts.map(({ value, isReached }) => [value, isReached])).toEqual([
      [1.15, true],
      [1.15, false],
    ]);
    expect(verdicts.map(sentenceOf)).toEqual([
      'goal reached: cpu at most 1.15 × uws: 1.15',
      'goal MISSED: cpu at most 1.14 × uws: 1.15',
    ]);
  });

  test('one without a reference is about the hub’s own median', () => {
    const [verdict] = judge(runsOf({ hub: [9, 30, 8] }, 'p99'), [{ figure: 'p99', atMost: 10 }], 'cpu');
    expect(verdict).toEqual({ figure: 'p99', atMost: 10, value: 9, isReached: true });
  });

  test('one against a reference that did not run is neither reached nor missed', () => {
    const [verdict] = judge(runs, [{ against: 'ws', atMost: 1 }], 'cpu');
    expect(verdict?.isReached).toBeNull();
    expect(verdict && sentenceOf(verdict)).toBe('goal not judged: cpu at most 1 × ws');
  });
});
