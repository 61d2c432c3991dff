#!/usr/bin/env node
/**
 * The way in: `npm start` and the command `presence-hub`. In a clone it first builds what is stale; in an installed
 * package, which holds no sources, it just runs. It reads no settings and knows no commands: that is main.ts.
 * Plain JavaScript, since it runs before anything is built.
 */
import { existsSync } from 'node:fs';
import { isatty } from 'node:tty';

// From the first moment on: without a listener, SIGUSR1 opens Node's inspector.
process.on('SIGUSR1', () => undefined);
// SIGHUP would end a hub that a supervisor reloads too early. A closed terminal still ends what it started.
if (!isatty(0)) process.on('SIGHUP', () => undefined);

// The parent of a worker has built it, and a worker that starts later must be of the same build.
const isWorker = process.env.PRESENCE_HUB_WORKER !== undefined;
if (!isWorker && existsSync(new URL('main.ts', import.meta.url))) {
  const { buildIfStale } = await import('./build.mjs');
  if (!(await buildIfStale())) process.exit(1);
}
await import('../dist/server/main.js');
