/**
 * Loaded into the hub's own process (`--import`): on SIGUSR2 it keeps the event loop busy in short pieces that each
 * read the hub's clock, as a flood of small work does. Finds the clock by the first reading.
 */
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

interface ReadClock {
  now(): unknown;
}

const PIECE_MS = 10;

const module = pathToFileURL(join(dirname(process.argv[1] ?? ''), 'lib/stall-clock.js'));
const { StallClock } = (await import(module.href)) as { StallClock: { prototype: ReadClock } };
const readNow = Reflect.get(StallClock.prototype, 'now');
let clock: ReadClock | undefined;
StallClock.prototype.now = function (this: ReadClock): unknown {
  found(this);
  return readNow.call(this);
};

/** From here on the hub runs as it always does. */
function found(it: ReadClock): void {
  clock = it;
  StallClock.prototype.now = readNow;
}

process.on('SIGUSR2', () => {
  const endsAt = performance.now() + Number(process.env['BUSY_MS']);
  for (let at = performance.now(); at < endsAt; at = performance.now()) {
    while (performance.now() < at + PIECE_MS) continue;
    clock?.now();
  }
});
