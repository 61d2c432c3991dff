/**
 * Chooses the engine: uWebSockets.js if its native binary loads, otherwise ws, or the engine set by HUB_TRANSPORT.
 * Starts nothing. Must run before the hub takes a port.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { StartError } from '../lib/start-error.ts';
import { PARSER_HEADER_BYTES } from './http-rules.ts';
import type { Engine } from './port.ts';
import { createUwsEngine } from './uws/uws-engine.ts';
import type { Uws } from './uws/uws-types.ts';
import { wsEngine } from './ws/ws-engine.ts';

type Transport = 'auto' | 'uws' | 'ws';

interface ChosenEngine {
  readonly engine: Engine;
  /** A few words for the start line. */
  readonly why: string;
  /** What a hostile client can still do with this engine here, and what prevents it; null if there is nothing. */
  readonly limit: string | null;
}

/** The machine for which modules are loaded. Tests pass another one. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly nodeMajor: string;
  /** Maximum bytes that the kernel keeps in one socket; undefined if unknown. */
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

/** @throws {StartError} if `uws` is required and no binary loads. */
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

/**
 * Chooses the engine of a worker that shares its port. uWebSockets.js leaves it to the system to hand out the connections,
 * and Linux alone does that evenly. @throws {StartError} if `uws` is required and can't be used.
 */
export function loadSharingEngine(transport: Transport, machine: Machine = thisMachine): ChosenEngine {
  if (machine.platform === 'linux' || transport === 'ws') return loadEngine(transport, machine);
  if (transport === 'auto') {
    return { ...loadEngine('ws', machine), why: 'ws: workers can share a port of uWebSockets.js on Linux only' };
  }
  throw new StartError(
    'HUB_TRANSPORT=uws with HUB_WORKERS works on Linux only: set HUB_TRANSPORT=auto, or HUB_WORKERS=1.',
  );
}

/** uWebSockets.js reads this much at once, and stays with a socket as long as its reads are full. */
const UWS_READ_BYTES = 512 * 1024;

/** Exists because Node's HTTP parser cannot be stopped within what it has read. */
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

/** Makes uWebSockets.js omit its `uWebSockets: 20` header from answers. */
const WITHOUT_BANNER = '999999990007';

type Loaded = { uws: Uws; name: string } | { uws?: undefined; trouble: string };

/** An operator's own install under the official name takes precedence over the repackaged binary for this Node.js. */
function loadUws(machine: Machine): Loaded {
  // The native code reads this when it loads. Without it, a request line and headers beyond 4 KiB are refused.
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
      // Found, but not for this Node.js (another ABI, glibc or processor): record that and try the next.
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
