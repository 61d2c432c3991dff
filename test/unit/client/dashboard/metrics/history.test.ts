import { describe, expect, it } from 'vitest';
import { History, WINDOW_MS } from '../../../../../client/dashboard/metrics/history.ts';
import { measures } from '../../../../../client/ui/metrics/measures.ts';
import { summarise } from '../../../../../client/dashboard/metrics/summary.ts';

const measure = (id: string) => measures.find((one) => one.id === id)!;
const plot = (history: History, id: string) => history.plot(measure(id));

const scrape = ({ tcp = 2, beats = 0, changes = 0, malformed = 0, delays = [0, 0, 0] } = {}): string =>
  [
    `presence_hub_sessions{adapter="tcp-xml"} ${tcp}`,
    'presence_hub_sessions{adapter="ws-json"} 3',
    `presence_hub_heartbeats_total{adapter="tcp-xml"} ${beats}`,
    `presence_hub_changes_total ${changes}`,
    `presence_hub_bad_frames_total{reason="malformed"} ${malformed}`,
    'presence_hub_bad_frames_total{reason="doctype"} 0',
    ...['0.01', '0.1', '+Inf'].map((le, i) => `presence_hub_delivery_delay_seconds_bucket{le="${le}"} ${delays[i]}`),
    'presence_hub_event_loop_lag_seconds_bucket{le="0.001"} 1',
    'presence_hub_event_loop_lag_seconds_bucket{le="+Inf"} 2',
  ].join('\n');

describe('the history of what is plotted', () => {
  it('keeps gauges as they are, and makes rates of counters from the second scrape on', () => {
    const history = new History();
    history.add(scrape({ beats: 100, changes: 5 }), 10_000);
    history.add(scrape({ tcp: 4, beats: 150, changes: 6 }), 12_000);
    expect(plot(history, 'sessions')).toEqual({
      times: [10, 12],
      series: [
        { label: 'tcp-xml', points: [2, 4] },
        { label: 'ws-json', points: [3, 3] },
      ],
    });
    expect(plot(history, 'heartbeats').series).toEqual([{ label: 'tcp-xml', points: [null, 25] }]);
    expect(plot(history, 'changes').series).toEqual([{ label: 'changes', points: [null, 0.5] }]);
  });

  it('shows quantiles of what was observed between two scrapes alone', () => {
    const history = new History();
    history.add(scrape({ delays: [100, 100, 100] }), 1000);
    history.add(scrape({ delays: [100, 110, 110] }), 2000);
    history.add(scrape({ delays: [100, 110, 110] }), 3000);
    const [p50, p99] = plot(history, 'delivery-delay').series;
    expect(p50).toEqual({ label: 'p50', points: [null, expect.closeTo(0.055), null] });
    expect(p99!.points[1]).toBeCloseTo(0.0991);
  });

  it('names the quantiles of the event loop’s lag', () => {
    const history = new History();
    history.add(scrape(), 1000);
    expect(plot(history, 'loop-lag').series.map(({ label }) => label)).toEqual(['p50', 'p99']);
  });

  it('shows a reason only once it happened', () => {
    const history = new History();
    history.add(scrape(), 1000);
    history.add(scrape(), 2000);
    expect(plot(history, 'bad-frames').series).toEqual([]);
    history.add(scrape({ malformed: 3 }), 3000);
    expect(plot(history, 'bad-frames').series).toEqual([{ label: 'malformed', points: [null, 0, 3] }]);
  });

  it('leaves one hole while the hub is away, and while the page slept', () => {
    const history = new History();
    history.add(scrape(), 1000);
    for (const at of [2000, 3000, 4000]) history.hole(at);
    history.add(scrape(), 5000);
    expect(plot(history, 'sessions').series[0]).toEqual({ label: 'tcp-xml', points: [2, null, 2] });
    history.add(scrape(), 65_000);
    expect(plot(history, 'sessions').series[0]).toEqual({ label: 'tcp-xml', points: [2, null, 2, null, 2] });
  });

  it('forgets what is older than ten minutes, and removed labels with it', () => {
    const history = new History();
    history.add('presence_hub_sessions{adapter="poll"} 1', 0);
    for (let at = 1000; at <= WINDOW_MS + 5000; at += 1000) history.add(scrape(), at);
    const { times, series } = plot(history, 'sessions');
    expect(times[0]).toBe(5);
    expect(times).toHaveLength(WINDOW_MS / 1000 + 1);
    expect(series.map(({ label, points }) => [label, points.length])).toEqual([
      ['tcp-xml', times.length],
      ['ws-json', times.length],
    ]);
  });

  it('hands out a copy that stands still', () => {
    const history = new History();
    history.add(scrape(), 1000);
    const before = plot(history, 'sessions');
    history.add(scrape(), 2000);
    expect(before.times).toEqual([1]);
    expect(before.series[0]!.points).toEqual([2]);
  });
});

describe('a plot in words', () => {
  it('says what is now, and between what it was', () => {
    const history = new History();
    history.add(scrape({ tcp: 10 }), 0);
    history.add(scrape({ tcp: 40 }), 60_000);
    expect(summarise(measure('sessions'), plot(history, 'sessions'))).toBe(
      'tcp-xml 40 now, between 10 and 40; ws-json 3, in the last 60 seconds.',
    );
  });

  it('says what is not known, not reported, or has not happened', () => {
    const history = new History();
    expect(summarise(measure('sessions'), plot(history, 'sessions'))).toBe('No data yet.');
    history.add(scrape(), 0);
    history.add(scrape(), 600_000);
    expect(summarise(measure('bad-frames'), plot(history, 'bad-frames'))).toBe('None in the last 10 minutes.');
    expect(summarise(measure('memory'), plot(history, 'memory'))).toBe('The hub does not report it.');
    history.hole(601_000);
    expect(summarise(measure('sessions'), plot(history, 'sessions'))).toContain('ws-json none now, before 3');
  });
});
