/**
 * The reference servers by name, how each is started, and what is missing if it cannot be. Each is a process that
 * prints its ports as one line of JSON, and answers GET /heartbeats with how many it has received.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { ask } from './hub-http.ts';
import { prepareJava } from './java.ts';
import { startProcess } from './server-process.ts';
import type { Candidate, Server } from './server.ts';
import type { WireName } from './wires.ts';

interface Reference {
  readonly door: 'tcp' | 'ws';
  readonly wire: WireName;
  /** In references/; a Java server is compiled first. */
  readonly module: string;
  readonly arguments: readonly string[];
  /** Packages of which one must load. */
  readonly packages: readonly string[];
}

interface Ports {
  readonly port: number;
  readonly tcpPort: number;
}

const uwsPackages = [
  'uWebSockets.js',
  `@uwsjs/${process.platform}-${process.arch}-${process.versions.node.split('.')[0]}`,
];
const uws = (mode: string): Reference => ({
  door: 'ws',
  wire: 'json',
  module: 'uws.js',
  arguments: [mode],
  packages: uwsPackages,
});
const tcpNode = (mode: string, packages: readonly string[]): Reference => ({
  door: 'tcp',
  wire: 'json',
  module: 'tcp-node.js',
  arguments: [mode],
  packages,
});

const references: ReadonlyMap<string, Reference> = new Map([
  ['uws', uws('topics')],
  ['uws:topics', uws('topics')],
  ['uws:ticks', uws('ticks')],
  ['ws', { door: 'ws', wire: 'json', module: 'ws.js', arguments: [], packages: ['ws'] }],
  ['socketio', { door: 'ws', wire: 'socketio', module: 'socketio.js', arguments: [], packages: ['socket.io'] }],
  ['tcp-node:memo', tcpNode('memo', ['fast-xml-parser'])],
  ['tcp-node:fxp', tcpNode('fxp', ['fast-xml-parser'])],
  ['tcp-node:wheel', tcpNode('wheel', [])],
  ['legacy', { door: 'tcp', wire: 'json', module: 'legacy', arguments: [], packages: [] }],
]);

export const referenceNames: readonly string[] = [...references.keys()];

export function unknownReferences(names: readonly string[]): readonly string[] {
  return names.filter((name) => !references.has(name));
}

/** Those of `chosen` that could not take the load that `usual` take: it comes through another door. */
export function unfitReferences(chosen: readonly string[], usual: readonly string[]): readonly string[] {
  const doors = new Set(usual.map((name) => references.get(name)?.door));
  return chosen.filter((name) => !doors.has(references.get(name)?.door));
}

/** `core`: the one that it has to itself, or null. */
export async function prepareReference(name: string, core: number | null): Promise<Candidate | { trouble: string }> {
  const reference = references.get(name);
  if (reference === undefined) throw new Error(`no reference ${name}`);
  const command = await commandOf(reference);
  if ('trouble' in command) return command;
  return { name, wire: reference.wire, start: () => startReference(name, command, core) };
}

async function commandOf({
  module,
  arguments: given,
  packages,
}: Reference): Promise<readonly string[] | { trouble: string }> {
  if (module === 'legacy') return prepareJava();
  if (packages.length > 0 && !packages.some(loads)) return { trouble: `${packages.join(' or ')} does not load` };
  return [process.execPath, fileURLToPath(new URL(`../references/${module}`, import.meta.url)), ...given];
}

async function startReference(name: string, command: readonly string[], core: number | null): Promise<Server> {
  const { server, start } = await startProcess({
    name,
    command,
    env: { ...process.env, NODE_ENV: 'production' },
    core,
    startedWith: (stdout) => (stdout.includes('\n') ? (JSON.parse(stdout.split('\n')[0] ?? '') as Ports) : undefined),
  });
  const { port, tcpPort } = start;
  const heartbeats = async (): Promise<number> => Number((await ask(port, 'GET', '/heartbeats')).body);
  return { ...server, name, port, tcpPort, heartbeats };
}

const require = createRequire(import.meta.url);

function loads(name: string): boolean {
  try {
    require(name);
    return true;
  } catch {
    return false;
  }
}
