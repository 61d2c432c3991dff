/**
 * The hub that the demo plays on: the one that runs, else, where none was named, one of its own in this process that
 * keeps nothing. Also finds out whether that hub takes TCP. Called by demo.
 */
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { readConfig } from '../config.ts';
import { startHub } from '../hub.ts';
import { createLog } from '../lib/log.ts';
import { right, wrong, type Read } from '../lib/read.ts';
import { StartError } from '../lib/start-error.ts';
import type { HubAddress } from './address.ts';
import { askHub } from './hub-http.ts';
import { say, type Io } from './io.ts';

const CONNECT_WITHIN_MS = 3_000;

interface Stage {
  readonly address: HubAddress;
  /** Ends what was started here; another's hub goes on. */
  readonly close: () => Promise<void>;
}

export async function findStage(address: HubAddress, io: Io): Promise<Read<Stage>> {
  const answer = await askHub(address.http, { method: 'GET', path: '/healthz', signal: io.interrupted });
  if (answer.kind === 'refused') return wrong(`what answers at ${address.http} is no hub: name one with --url`);
  if (answer.kind !== 'unreachable') return right({ address, close: () => Promise.resolve() });
  return address.isNamed ? wrong(answer.problem) : startOwnHub(address, io);
}

/** Whether somebody listens where TCP should be. */
export function takesTcp({ tcpHost, tcpPort }: HubAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: tcpHost, port: tcpPort, timeout: CONNECT_WITHIN_MS });
    const answer = (takes: boolean) => {
      socket.destroy();
      resolve(takes);
    };
    socket.on('connect', () => answer(true));
    socket.on('timeout', () => answer(false));
    socket.on('error', () => answer(false));
  });
}

async function startOwnHub(address: HubAddress, io: Io): Promise<Read<Stage>> {
  const settings = readConfig({
    flags: new Map([
      ['HUB_DATA', ':memory:'],
      ['HUB_LOG_LEVEL', 'warn'],
    ]),
    env: io.env,
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  if (!settings.ok) return settings;
  try {
    const hub = await startHub(settings.config, { log: createLog(settings.config.logLevel) });
    say(io, `No hub answers at ${address.http}: this is one of the demo’s own, which keeps nothing.`);
    return right({ address, close: () => hub.stop() });
  } catch (error) {
    if (error instanceof StartError) return wrong(error.message);
    throw error;
  }
}
