/**
 * W4: a share of the watchers stops reading. The others must not feel it, the hub's memory must stay flat, and those who
 * read again must see the truth. Each round has a stretch without slow readers and one with, every other round the other
 * way round; with --minutes a long stretch follows in which they read nothing at all.
 */
import { fromCounts, median } from '../lib/histogram.ts';
import { sleep, until } from '../lib/pacing.ts';
import { megabytes } from '../lib/proc.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { PublishersCommands } from '../roles/publishers.ts';
import type { ReadersCommands } from '../roles/readers.ts';

const knobs = {
  publishers: { fallback: 500, help: 'users who change' },
  watchers: { fallback: 100, help: 'watchers, each of all publishers' },
  'slow-percent': { fallback: 1, help: 'this percentage of the watchers stops reading' },
  rate: { fallback: 20_000, help: 'deliveries a second, all watchers together' },
  padding: { fallback: 110, help: 'characters of a text beside its time' },
  fill: { fallback: 30, help: 'snapshots that a slow reader asks for and does not read, to fill the kernel’s buffers' },
  seconds: { fallback: 20, help: 'length of a stretch' },
  rounds: { fallback: 5, help: 'rounds of one stretch without slow readers and one with' },
  minutes: { fallback: 0, help: 'length of the long stretch at the end' },
  'max-ratio': { fallback: 1.2, help: 'the others’ p99 with slow readers by that without: more is a failure' },
  'max-growth-mb': { fallback: 24, help: 'RSS, second half of the long stretch over the first: more is a failure' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const slow = workload({
  name: 'slow',
  about: 'a share of the watchers stops reading: memory is flat, the others do not feel it (W4)',
  knobs,
  run,
});

interface Play {
  readonly hub: Server;
  readonly publishers: Role<PublishersCommands>;
  readonly good: Role<ReadersCommands>;
  readonly slow: Role<ReadersCommands>;
  readonly failures: string[];
  readonly values: Values;
}

const RIGHT_WITHIN_MS = 15_000;
const SETTLE_MS = 500;
const FILL_MS = 1000;

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const hub = await stage.startHub({ HUB_MAX_WATCHES: '100000', HUB_MESSAGES_PER_S: '10000' });
  const readers = new URL('../roles/readers.js', import.meta.url);
  const play: Play = {
    hub,
    publishers: startRole<PublishersCommands>(new URL('../roles/publishers.js', import.meta.url)),
    good: startRole<ReadersCommands>(readers),
    slow: startRole<ReadersCommands>(readers),
    failures: [],
    values,
  };
  const users = Array.from({ length: values.publishers }, (_, index) => `p${index}`);
  const slowCount = Math.max(1, Math.round((values.watchers * values['slow-percent']) / 100));
  await play.publishers.call('open', { port: hub.port, users });
  await play.good.call('open', { port: hub.port, users, count: Math.max(1, values.watchers - slowCount) });
  await play.slow.call('open', { port: hub.port, users, count: slowCount });
  progress(`${users.length} publishers, ${values.watchers} watchers of all of them, ${slowCount} of whom will be slow`);

  const rows: Row[] = [];
  const ratios: number[] = [];
  await stretch(play, 'warm-up', false, Math.min(5, values.seconds));
  for (let no = 1; no <= values.rounds; no += 1) {
    const order = no % 2 === 1 ? [false, true] : [true, false];
    const p99 = { without: 0, with: 0 };
    for (const isSlow of order) {
      const { row, p99Ms } = await stretch(play, String(no), isSlow, values.seconds);
      rows.push(row);
      p99[isSlow ? 'with' : 'without'] = p99Ms;
    }
    ratios.push(p99.with / p99.without);
    progress(
      `round ${no} of ${values.rounds}: p99 ${round(p99.without)} ms without slow readers, ${round(p99.with)} with`,
    );
  }
  const long = values.minutes > 0 ? await longStretch(play) : null;
  const ratio = round(median(ratios));
  printTable(rows);
  progress(`the others’ p99 with slow readers by that without: ${ratio} (median of ${ratios.length} rounds)`);
  if (ratio > values['max-ratio']) play.failures.push(`the others’ p99 is ${ratio} times that without slow readers`);
  const ended = hub.ended();
  if (ended !== null) play.failures.push(`the hub ended: ${ended}`);
  for (const line of hub.errors) play.failures.push(`the hub logged an error: ${line}`);
  await hub.stop();
  return {
    failures: play.failures,
    figures: { ratio, ratios: ratios.map((one) => round(one)), stretches: rows, long },
  };
}

/** One stretch of publishing, with the slow ones asleep or not; and what everybody knows at its end. */
async function stretch(play: Play, name: string, isSlow: boolean, seconds: number, onSecond?: (rssMb: number) => void) {
  const { hub, publishers, good, values } = play;
  await play.slow.call('figures');
  if (isSlow) {
    await play.slow.call('pause', values.fill);
    // The snapshots that fill the buffers are not what is measured.
    await sleep(FILL_MS);
  }
  await good.call('figures');
  const used = measure(hub);
  const rss: number[] = [];
  await publishers.call('publish', { changesPerS: values.rate / values.watchers, padding: values.padding });
  for (let second = 0; second < seconds; second += 1) {
    await sleep(Math.min(1000, 1000 * (seconds - second)));
    rss.push(megabytes(hub.rssBytes()));
    onSecond?.(rss.at(-1) ?? 0);
  }
  const cost = used();
  const { words, lost, worstLateMs } = await publishers.call('rest');
  await sleep(SETTLE_MS);
  const read = await good.call('figures');
  if (isSlow) await play.slow.call('resume');
  const wrong = await wrongWords(play, words);
  const later = await play.slow.call('figures');
  if (wrong > 0) play.failures.push(`stretch ${name}: ${wrong} last words are wrong`);
  if (lost > 0) play.failures.push(`stretch ${name}: ${lost} publishers lost their connection`);
  for (const [code, count] of Object.entries(read.cut)) {
    play.failures.push(`stretch ${name}: ${count} good watchers were cut off with ${code}`);
  }
  const delays = fromCounts(read.delays);
  const row: Row = {
    round: name,
    slow: isSlow ? 'yes' : 'no',
    'entries/s': round(read.entries / (cost.ms / 1000), 0),
    'p50 ms': round(delays.percentile(0.5)),
    'p99 ms': round(delays.percentile(0.99)),
    'max ms': round(delays.maxMs, 1),
    'cpu %': cost.cpuPercent,
    'rss MB from': rss[0] ?? null,
    to: rss.at(-1) ?? null,
    'snapshots read': later.snapshots,
    'not asked for': later.resyncs,
    'cut off': Object.values(later.cut).reduce((sum, count) => sum + count, 0),
    wrong,
    'generator late ms': round(worstLateMs, 0),
  };
  return { row, p99Ms: delays.percentile(0.99), rss };
}

/** Asked until it is 0: those who read again have a lot to read. */
async function wrongWords(play: Play, words: ReadonlyMap<string, string>): Promise<number> {
  let wrong = 0;
  await until(
    async () => {
      wrong = (await play.good.call('wrong', words)) + (await play.slow.call('wrong', words));
      return wrong === 0;
    },
    RIGHT_WITHIN_MS,
    200,
  );
  return wrong;
}

async function longStretch(play: Play) {
  const { minutes } = play.values;
  let seconds = 0;
  const { row, rss } = await stretch(play, 'long', true, Math.round(minutes * 60), (rssMb) => {
    seconds += 1;
    if (seconds % 60 === 0) progress(`minute ${seconds / 60} of ${minutes}: ${rssMb} MB`);
  });
  const half = rss.length >> 1;
  const halves = { firstMb: median(rss.slice(0, half)), secondMb: median(rss.slice(half)) };
  const growthMb = round(halves.secondMb - halves.firstMb);
  progress(`the long stretch: ${halves.firstMb} MB in its first half, ${halves.secondMb} MB in its second`);
  printTable([row]);
  if (growthMb > play.values['max-growth-mb']) play.failures.push(`memory grew by ${growthMb} MB in the long stretch`);
  return { ...halves, growthMb, rssMbEachMinute: rss.filter((_, second) => second % 60 === 59), stretch: row };
}
