/**
 * Chooses the engine: uWebSockets.js where its native binary loads, ws everywhere else, or what HUB_TRANSPORT says.
 * Must not start anything. Called by hub.ts once, before the port is taken.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { StartError } from '../lib/start-error.ts';
import { PARSER_HEADER_BYTES } from './http-rules.ts';
import type { Engine } from './port.ts';
import { createUwsEngine } from './uws-engine.ts';
import type { Uws } from './uws-types.ts';
import { wsEngine } from './ws-engine.ts';

type Transport = 'auto' | 'uws' | 'ws';

interface ChosenEngine {
  readonly engine: Engine;
  /** Few words for the start line. */
  readonly why: string;
  /** What a hostile client can still do with this engine here, and what ends that; null if there is nothing. */
  readonly limit: string | null;
}

/** Where modules are loaded from; a test gives another machine. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly nodeMajor: string;
  /** Bytes that the kernel lets wait in one socket, at most; undefined if it does not say. */
  readonly maxReceiveBytes: number | undefined;
  require(name: string): unknown;
}

const thisMachine: Machine = {
  platform: process.platform,
  arch: process.arch,
  nodeMajor: process.versions.node.split('.')[0] ?? '',
  maxReceiveBytes: readMaxReceiveBytes(),
  require: createRequire(import.meta.url),
};

/** @throws {StartError} where `uws` is asked for and none loads. */
export function loadEngine(transport: Transport, machine: Machine = thisMachine): ChosenEngine {
  if (transport === 'ws') return { engine: wsEngine, why: 'ws: asked for by HUB_TRANSPORT=ws', limit: LIMIT_OF_WS };
  const loaded = loadUws(machine);
  if (loaded.uws !== undefined) {
    return { engine: createUwsEngine(loaded.uws), why: `${loaded.name} loaded`, limit: limitOfUws(machine) };
  }
  if (transport === 'auto')
    return { engine: wsEngine, why: `ws: uWebSockets.js ${loaded.trouble}`, limit: LIMIT_OF_WS };
  throw new StartError(
    `HUB_TRANSPORT=uws but uWebSockets.js could not be loaded because it ${loaded.trouble}: ` +
      `install it for this Node.js, or set HUB_TRANSPORT=auto.`,
  );
}

/** uWebSockets.js reads this much at once, and stays with a socket for as long as its reads come back full. */
const UWS_READ_BYTES = 512 * 1024;

/** Node's HTTP parser cannot be stopped within what it has read. */
const LIMIT_OF_WS =
  'a hundred connections that flood and reconnect can delay new ones with ws by a second (SECURITY.md)';

function limitOfUws({ maxReceiveBytes }: Machine): string | null {
  if (maxReceiveBytes !== undefined && maxReceiveBytes < UWS_READ_BYTES) return null;
  return (
    'one connection that sends empty fragments at some 2 Gbit/s can hold uWebSockets.js; ' +
    'net.ipv4.tcp_rmem below 512 KiB, or HUB_TRANSPORT=ws, ends that (SECURITY.md)'
  );
}

function readMaxReceiveBytes(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/tcp_rmem', 'utf8').trim().split(/\s+/)[2]);
  } catch {
    return undefined;
  }
}

/** Tells uWebSockets.js to leave its `uWebSockets: 20` header out of answers. */
const WITHOUT_BANNER = '999999990007';

type Loaded = { uws: Uws; name: string } | { uws?: undefined; trouble: string };

/** An operator's own install under the official name wins over the repackaged binary for this very Node.js. */
function loadUws(machine: Machine): Loaded {
  // Read by the native code when it loads: without it, a request line and headers beyond 4 KiB are refused.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(PARSER_HEADER_BYTES);
  const { platform, arch, nodeMajor } = machine;
  const here = `${platform}-${arch}`;
  let trouble = `is not installed for ${here}, Node.js ${nodeMajor}`;
  for (const name of ['uWebSockets.js', `@uwsjs/${here}-${nodeMajor}`]) {
    try {
      const uws = machine.require(name) as Uws;
      uws._cfg?.(WITHOUT_BANNER);
      return { uws, name: `${name} ${versionOf(name, machine)}`.trimEnd() };
    } catch (error) {
      // Found, but not for this Node.js (another ABI, glibc or processor): say so, and try the next.
      if (!isMissing(error)) trouble = `does not load on ${here}, Node.js ${nodeMajor} (${firstLine(error)})`;
    }
  }
  return { trouble };
}

function versionOf(name: string, machine: Machine): string {
  try {
    return (machine.require(`${name}/package.json`) as { version?: string }).version ?? '';
  } catch {
    return '';
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'MODULE_NOT_FOUND';
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n')[0] ?? '').replace(/[.:]$/, '');
}
