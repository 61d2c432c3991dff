/** What the image says of itself, and the settings of a hub in it, for the tests of what runs it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig, type Config } from '../../server/config/config.ts';
import { defaultConfig } from '../support/hub.ts';
import { parseDockerfile } from './dockerfile.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
/** A file of the repository. */
export const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
export const secret = { HUB_JWT_SECRET: 'a-secret-of-at-least-32-bytes-for-tests' };
export const { ports: imagePorts, env: imageEnv, user: imageUser } = describeImage();
const { drainMs } = defaultConfig;
/** What SIGTERM may take: the drain, and the stop itself. */
export const STOP_S = drainMs / 1000 + 2;

function describeImage() {
  const instructions = parseDockerfile(read('deploy/Dockerfile'));
  const last = (name: string): string => instructions.findLast((one) => one.name === name)?.rest ?? '';
  const pairs = instructions.flatMap(({ name, rest }) => (name === 'ENV' ? [rest.split('=') as [string, string]] : []));
  return { ports: last('EXPOSE').split(' ').map(Number), env: Object.fromEntries(pairs), user: last('USER') };
}

/** The settings of the hub with this environment. @throws if the hub would not start with it. */
export function configOf(env: Readonly<Record<string, string>>): Config {
  const settings = Object.entries(env).filter(([name]) => name.startsWith('HUB_'));
  const config = readConfig({ flags: new Map(), env: Object.fromEntries(settings), readFile: () => '' });
  if (!config.ok) throw new Error(config.problem);
  return config.value.config;
}
