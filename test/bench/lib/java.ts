/**
 * Compiles the legacy server's logic if there is a JDK: with dom4j, as the original, if it is found, otherwise with the
 * JDK's own DOM parser. Writes into dist/bench, once for each change of a source.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './places.ts';
import { say } from './report.ts';

const sources = join(root, 'test/bench/references/legacy');
const classes = join(root, 'dist/bench/references/legacy');
const DOM4J = '/usr/share/java/dom4j.jar';

/** @returns the command that starts it, or why there is none. */
export function prepareJava(): readonly string[] | { trouble: string } {
  if (!runs('javac') || !runs('java')) return { trouble: 'no JDK (java and javac) is found' };
  const jars = jarsOfDom4j();
  const names = ['LegacyServer', 'JdkParser', ...(jars === '' ? [] : ['Dom4jParser'])];
  if (names.some(isStale)) {
    mkdirSync(classes, { recursive: true });
    const files = names.map((name) => join(sources, `${name}.java`));
    const { status, stderr } = spawnSync('javac', ['-d', classes, '-cp', jars, ...files], { encoding: 'utf8' });
    if (status !== 0) return { trouble: `javac: ${stderr}` };
  }
  if (jars === '') say('legacy: dom4j is not found, so the JDK’s own DOM parser it is');
  return ['java', '-cp', [classes, jars].filter((path) => path !== '').join(':'), 'LegacyServer'];
}

function jarsOfDom4j(): string {
  const named = (process.env['CLASSPATH'] ?? '').split(':').filter((path) => path.includes('dom4j'));
  const found = named.length > 0 ? named : [DOM4J].filter((path) => existsSync(path));
  return found.join(':');
}

function isStale(name: string): boolean {
  const compiledAt = statSync(join(classes, `${name}.class`), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return compiledAt < statSync(join(sources, `${name}.java`)).mtimeMs;
}

function runs(program: string): boolean {
  return spawnSync(program, ['-version'], { stdio: 'ignore' }).status === 0;
}
