/**
 * What some tests need beyond Node.js and the packages. If it is missing, those tests are skipped and the last line of the run
 * says so (skipped-reporter.ts). With CI=true a missing program is an error.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestOptions } from 'vitest';
import { loadEngine } from '../../server/sockets/load-engine.ts';

/** Why tests are skipped, and what to do about it. */
export interface Missing {
  readonly reason: string;
  readonly remedy: string;
}

declare module 'vitest' {
  interface TaskMeta {
    missing?: Missing;
  }
}

interface Need extends Missing {
  isMet(): boolean;
  readonly isRequiredInCi: boolean;
}

interface Program extends Need {
  path(): string | undefined;
}

/** Debian has servers in a folder that is not on every user's PATH. */
const MORE_FOLDERS = ['/usr/sbin', ...postgresFolders('/usr/lib/postgresql')];

/** Debian has each version of PostgreSQL in a folder of its own. */
function postgresFolders(root: string): string[] {
  return existsSync(root) ? readdirSync(root).map((version) => join(root, version, 'bin')) : [];
}

/** A program on the PATH, or at the path that the variable gives. */
function program(title: string, variable: string, debianPackage: string, names: readonly string[]): Program {
  const path = (): string | undefined => {
    const given = process.env[variable];
    if (given !== undefined) return isProgram(given) ? given : undefined;
    const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS];
    return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  };
  return {
    reason: `${title} not found`,
    remedy: `install ${debianPackage}, or set ${variable} to its path`,
    path,
    isMet: () => path() !== undefined,
    isRequiredInCi: true,
  };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const programs = {
  Chromium: program('Chromium', 'CHROMIUM', 'chromium', ['chromium', 'chromium-browser', 'google-chrome']),
  nginx: program('nginx', 'NGINX', 'nginx', ['nginx']),
  haproxy: program('HAProxy', 'HAPROXY', 'haproxy', ['haproxy']),
  'redis-server': program('Redis', 'REDIS_SERVER', 'redis-server', ['redis-server', 'valkey-server']),
  postgres: program('PostgreSQL', 'POSTGRES', 'postgresql', ['postgres']),
  spin: program('spin', 'SPIN', 'spin', ['spin']),
  promtool: program('promtool', 'PROMTOOL', 'prometheus', ['promtool']),
  'systemd-analyze': program('systemd-analyze', 'SYSTEMD_ANALYZE', 'systemd', ['systemd-analyze']),
} satisfies Record<string, Program>;

const needs = {
  ...programs,
  JDK: {
    reason: 'JDK not found',
    remedy: 'install default-jdk-headless',
    // Run, because macOS has a javac that only says where to get one.
    isMet: () => spawnSync('javac', ['-version']).status === 0,
    isRequiredInCi: true,
  },
  'mount namespaces': {
    reason: 'no mount namespaces',
    remedy: 'run them on Linux as root, with unshare and chroot',
    isMet: () => spawnSync('unshare', ['--mount', 'chroot', '/', 'true']).status === 0,
    isRequiredInCi: false,
  },
  'AsyncAPI parser': {
    reason: 'AsyncAPI parser not found',
    remedy: 'run npm ci --prefix test/validators',
    isMet: () => existsSync(new URL('../validators/node_modules/@asyncapi/parser/package.json', import.meta.url)),
    isRequiredInCi: true,
  },
  'uWebSockets.js': {
    reason: 'uWebSockets.js not loaded',
    remedy: 'see “Engines” in shared/OPERATING.md',
    isMet: () => loadEngine('auto').engine.name === 'uws',
    // On newer versions it depends on the C library.
    isRequiredInCi: process.version.startsWith('v20.'),
  },
  Linux: {
    reason: 'not on Linux',
    remedy: 'run them on Linux',
    isMet: () => process.platform === 'linux',
    isRequiredInCi: false,
  },
  POSIX: {
    reason: 'on Windows',
    remedy: 'run them on another system',
    isMet: () => process.platform !== 'win32',
    isRequiredInCi: false,
  },
  'a user other than root': {
    reason: 'run as root',
    remedy: 'run them as another user',
    isMet: () => process.getuid?.() !== 0,
    isRequiredInCi: false,
  },
  IPv6: {
    reason: 'no IPv6',
    remedy: 'turn on IPv6 for the loopback interface',
    isMet: () => Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1')),
    isRequiredInCi: false,
  },
} satisfies Record<string, Need>;

const known = new Map<Need, boolean>();

/** The options of tests that need this: they are skipped if it is missing. */
export function needing(name: keyof typeof needs): TestOptions {
  const need: Need = needs[name];
  const isMet = known.get(need) ?? need.isMet();
  known.set(need, isMet);
  if (isMet) return {};
  const { reason, remedy } = need;
  if (need.isRequiredInCi && process.env['CI'] === 'true') throw new Error(`${reason}, and CI needs it: ${remedy}`);
  return { skip: true, meta: { missing: { reason, remedy } } };
}

/** Where that program is. For tests that need it. */
export function programPath(name: keyof typeof programs): string {
  const path = programs[name].path();
  if (path === undefined) throw new Error(programs[name].reason);
  return path;
}
