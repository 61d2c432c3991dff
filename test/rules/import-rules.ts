/**
 * The import table, executable: which room may import which, and the few words that only one place may use.
 * Checks one source at a time, as text.
 */
import { dirname, posix } from 'node:path';
import ts from 'typescript';

interface Room {
  /** Rooms that it may import; "(types)": with `import type` only. Itself and, in server/, `lib` are always allowed. */
  readonly rooms: readonly string[];
  readonly packages?: readonly string[];
  /** Node's own modules. */
  readonly node: boolean;
}

const adapter = (packages: readonly string[]): Room => ({
  // Beyond intake, an adapter holds what intake and fanout hand it: sessions, outboxes. It calls nothing of them.
  // Who may what is auth's to say, of whatever came in; how many may come is admission's.
  rooms: [
    'intake (types)',
    'auth',
    'admission (types)',
    'shared',
    'sockets (types)',
    'presence (types)',
    'fanout (types)',
    'peers',
  ],
  packages,
  node: true,
});

const pageFramework = ['preact', 'preact/hooks'];

const table: Readonly<Record<string, Room>> = {
  // Without zod, so that the SDK can use it.
  'shared/hub-time': { rooms: ['shared (types)'], node: false },
  shared: { rooms: [], packages: ['zod'], node: false },
  main: { rooms: ['config', 'hub', 'workers', 'operator', 'client/cli'], node: true },
  // Several processes that share the ports, and their parent.
  workers: { rooms: ['config (types)'], node: true },
  // Commands that work on this machine's settings, data and ports instead of asking a hub.
  operator: {
    rooms: [
      'config',
      'auth',
      'hub',
      'sockets',
      'storage/sqlite',
      'storage/postgres',
      'webhooks',
      'cluster',
      'client/cli',
      'shared',
    ],
    packages: ['jose'],
    node: true,
  },
  index: { rooms: ['config', 'hub'], node: false },
  hub: { rooms: ['every room'], node: true },
  config: { rooms: ['shared'], node: true },
  // The use cases of the API and the command line.
  actions: {
    rooms: [
      'presence',
      'intake (types)',
      'fanout (types)',
      'storage (types)',
      'roster (types)',
      'history (types)',
      'webhooks (types)',
      'shared',
    ],
    node: true,
  },
  staleness: {
    rooms: ['presence (types)', 'fanout', 'storage (types)'],
    node: false,
  },
  // What adapters, intake and fan-out wait for because of other hubs.
  peers: { rooms: ['shared (types)'], node: false },
  intake: { rooms: ['presence', 'auth (types)', 'peers (types)', 'shared'], node: false },
  admission: { rooms: ['auth', 'shared'], node: false },
  ticker: { rooms: ['presence'], node: false },
  'adapters/tcp-xml': adapter(['fast-xml-parser']),
  'adapters/ws-json': adapter([]),
  'adapters/http': {
    rooms: [
      ...adapter([]).rooms,
      'actions (types)',
      'history (types)',
      'metrics (types)',
      'roster (types)',
      'webhooks (types)',
    ],
    packages: ['zod'],
    node: true,
  },
  'adapters/poll': adapter(['fast-xml-parser']),
  presence: { rooms: ['shared'], node: false },
  fanout: { rooms: ['presence (types)', 'sockets (types)', 'roster (types)', 'peers (types)', 'shared'], node: false },
  sockets: { rooms: ['shared'], packages: ['ws', 'uWebSockets.js'], node: true },
  roster: { rooms: ['storage/postgres', 'shared'], packages: ['pg'], node: true },
  // Only this folder knows SQLite; only the map opens it.
  'storage/sqlite': {
    rooms: ['storage', 'roster', 'webhooks', 'history (types)', 'shared'],
    packages: ['@photostructure/sqlite'],
    node: true,
  },
  'storage/postgres': {
    rooms: ['history (types)', 'cluster (types)', 'presence (types)', 'shared'],
    packages: ['pg'],
    node: true,
  },
  storage: { rooms: ['shared'], node: true },
  history: { rooms: ['presence', 'shared'], node: true },
  'cluster/webhooks': { rooms: ['cluster', 'cluster/bridge', 'presence', 'webhooks', 'shared'], node: false },
  // Connects the cluster with presence and fan-out.
  'cluster/bridge': {
    rooms: ['cluster', 'presence', 'fanout (types)', 'peers', 'shared'],
    packages: ['zod'],
    node: true,
  },
  // Of presence, only the pure functions: what a user's sessions on all nodes become is folded as on one.
  cluster: {
    rooms: ['presence', 'cluster/webhooks (types)', 'shared'],
    packages: ['@redis/client', 'zod'],
    node: true,
  },
  auth: { rooms: ['shared', 'presence (types)'], packages: ['jose'], node: true },
  metrics: { rooms: ['presence (types)', 'workers (types)', 'shared'], packages: ['prom-client'], node: true },
  webhooks: { rooms: ['presence (types)', 'auth', 'shared'], packages: ['zod'], node: true },
  lib: { rooms: ['shared'], packages: ['pino'], node: true },
  // A client of the hub like any other: it does not know the server.
  'client/cli': {
    rooms: ['client/sdk entry', 'client/sdk/internal', 'client/ui', 'shared'],
    packages: ['ws', 'zod'],
    node: true,
  },
  // The SDK's parts for the command line and the dashboard.
  'client/sdk/internal': { rooms: ['client/sdk'], node: false },
  'client/sdk': { rooms: ['shared (types)', 'shared/hub-time'], node: false },
  'client/react': { rooms: ['client/sdk entry'], packages: ['react'], node: false },
  // What the page, the dashboard and the element have in common.
  'client/ui': { rooms: ['client/sdk entry'], node: false },
  'client/element': { rooms: ['client/sdk entry', 'client/ui'], node: false },
  'client/page': { rooms: ['client/sdk entry', 'client/ui'], packages: pageFramework, node: false },
  'client/docs': { rooms: ['client/ui'], packages: ['minisearch'], node: false },
  'client/dashboard': {
    rooms: ['client/sdk entry', 'client/sdk/internal', 'client/ui', 'shared (types)'],
    packages: [...pageFramework, 'uplot'],
    node: false,
  },
};

/** Where a word may stand; everywhere else below server/, shared/ and client/ it is a violation. */
const readersOfProcess = ['server/main.ts', 'server/sockets/load-engine.ts', 'server/storage/sqlite/sqlite.ts'];
const namersOfUws = ['server/sockets/uws/uws-engine.ts', 'server/sockets/load-engine.ts'];
const notInTheCore = new Set(
  'Date performance setTimeout setInterval setImmediate queueMicrotask fetch console globalThis'.split(' '),
);

const SYNCHRONOUS = 'is asynchronous: the core is synchronous, and what may have to wait, waits in an adapter';

/** What breaks the rules in one source; `path` is relative to the repository. */
export function violationsIn(path: string, text: string): readonly string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  if (roomOf(path) === undefined) found.push('stands in no room of the table');
  for (const { specifier, isType } of importsOf(source)) {
    const problem = faultOfImport(path, specifier, isType);
    if (problem !== undefined) found.push(`imports ${specifier}: ${problem}`);
  }
  visit(source, (node) => {
    const problem = faultOfNode(path, node);
    if (problem !== undefined) found.push(problem);
  });
  return found;
}

/** The room that a path belongs to: `server/presence/fold.ts` to `presence`, `client/sdk/index.ts` to `client/sdk`. */
function roomOf(path: string): string | undefined {
  const inHouse = path.replace(/^server\//, '').replace(/\.tsx?$/, '');
  return Object.keys(table).find((room) => inHouse === room || inHouse.startsWith(`${room}/`));
}

function faultOfImport(path: string, specifier: string, isType: boolean): string | undefined {
  const from = roomOf(path);
  const room = from === undefined ? undefined : table[from];
  if (from === undefined || room === undefined) return undefined;
  if (specifier.startsWith('node:')) return room.node ? undefined : `${from} may not use Node's modules`;
  if (!specifier.startsWith('.')) {
    return room.packages?.includes(specifier) === true ? undefined : `${from} may not use this package`;
  }
  if (!/\.tsx?$/.test(specifier)) return 'a relative import ends in .ts or .tsx';
  const target = posix.join(dirname(path), specifier);
  const to = roomOf(target);
  if (to === undefined) return 'it stands in no room';
  if (to === from || (to === 'lib' && path.startsWith('server/')) || room.rooms.includes('every room'))
    return undefined;
  if (room.rooms.includes(to) || (isType && room.rooms.includes(`${to} (types)`))) return undefined;
  if (room.rooms.includes(`${to} entry`) && target === `${to}/index.ts`) return undefined;
  return `${from} may import ${room.rooms.join(', ') || 'no room'}`;
}

function faultOfNode(path: string, node: ts.Node): string | undefined {
  const isExportDefault =
    ts.isExportAssignment(node) ||
    (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword));
  if (isExportDefault === true) return 'has a default export';
  if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) {
    const isUws = node.text === 'uWebSockets.js' || node.text.startsWith('@uwsjs/');
    return isUws && !namersOfUws.includes(path) ? 'names uWebSockets.js, which is for uws-engine alone' : undefined;
  }
  if (roomOf(path) === 'presence' && (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node))) {
    return SYNCHRONOUS;
  }
  if (!ts.isIdentifier(node) || isPropertyName(node)) return undefined;
  if (node.text === 'process' && !readersOfProcess.includes(path)) return 'reads process, which is for main.ts alone';
  if (roomOf(path) === 'presence' && notInTheCore.has(node.text)) return `uses ${node.text}: the core is given its now`;
  if (roomOf(path) === 'presence' && node.text === 'Promise') return SYNCHRONOUS;
  return undefined;
}

function importsOf(source: ts.SourceFile): readonly { readonly specifier: string; readonly isType: boolean }[] {
  const found: { specifier: string; isType: boolean }[] = [];
  visit(source, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const specifier = node.moduleSpecifier;
      if (specifier !== undefined && ts.isStringLiteral(specifier)) {
        found.push({ specifier: specifier.text, isType: isTypeOnly(node) });
      }
    } else if (ts.isCallExpression(node)) {
      const [first] = node.arguments;
      const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'require';
      if (isImport && first !== undefined && ts.isStringLiteralLike(first)) {
        found.push({ specifier: first.text, isType: false });
      }
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal))
        found.push({ specifier: node.argument.literal.text, isType: true });
    }
  });
  return found;
}

/** `import type …`, or every name in it marked as a type. */
function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.every(({ isTypeOnly }) => isTypeOnly)
  );
}

/** The `x` of `a.x`, `{ x: 1 }` and the like: a name of somebody's own, not the global of that name. */
function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    ((ts.isPropertyAssignment(parent) ||
      ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isMethodDeclaration(parent)) &&
      parent.name === node)
  );
}

function visit(node: ts.Node, each: (node: ts.Node) => void): void {
  each(node);
  ts.forEachChild(node, (child) => visit(child, each));
}
