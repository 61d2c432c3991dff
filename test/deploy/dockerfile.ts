/**
 * Runs a Dockerfile without a container engine: each stage in a folder that becomes the root of a mount namespace, with the
 * programs of this machine, read-only, in place of the base image. Knows the instructions that the hub's Dockerfile uses, and
 * refuses others.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { run } from '../support/packed.ts';

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** What an image says of itself. */
export interface Image {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly user: string;
  readonly ports: readonly number[];
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  readonly healthCheck: readonly string[];
  readonly entrypoint: readonly string[];
}

type Draft = { -readonly [K in keyof Image]: Image[K] };

/** Folders of this machine that stand for the base image. What else is in its root is a link into them. */
const BASE = ['usr', 'etc', 'proc', 'sys', 'dev'];

export function parseDockerfile(text: string): Instruction[] {
  const lines = text.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n/g, ' ');
  return lines.split('\n').flatMap((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === '' && line.trim() !== '') throw new Error(`not an instruction: ${line}`);
    return name === '' ? [] : [{ name, rest }];
  });
}

/** Which files of the context the image may copy. */
export function isIgnored(path: string, dockerignore: string): boolean {
  const kept = dockerignore.split('\n').flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
  return !kept.some((one) => path === one || path.startsWith(`${one}/`));
}

export class DockerBuild {
  readonly #context: string;
  readonly #dockerignore: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #stages = new Map<string, Draft>();
  #last: Draft | undefined;

  /** `env`: variables of this machine that the steps need, such as those of the registry. */
  constructor(context: string, dockerfile: string, env: Readonly<Record<string, string>>) {
    this.#context = context;
    this.#dockerignore = readFileSync(`${dockerfile}.dockerignore`, 'utf8');
    this.#env = env;
  }

  /** Runs all steps, and answers the last stage. */
  async build(instructions: readonly Instruction[]): Promise<Image> {
    for (const { name, rest } of instructions) await this.#step(name, rest);
    return this.#stage;
  }

  /** Removes the folders of all stages. */
  remove(): void {
    for (const { root } of this.#stages.values()) rmSync(root, { recursive: true, force: true });
  }

  get #stage(): Draft {
    if (this.#last === undefined) throw new Error('no FROM');
    return this.#last;
  }

  async #step(name: string, rest: string): Promise<void> {
    if (name === 'ARG') return;
    if (name === 'FROM') return this.#from(rest);
    const stage = this.#stage;
    if (name === 'WORKDIR') mkdirSync(join(stage.root, (stage.folder = rest)), { recursive: true });
    else if (name === 'ENV') stage.env = { ...stage.env, ...Object.fromEntries([rest.split('=') as [string, string]]) };
    else if (name === 'COPY') this.#copy(rest.split(' '));
    else if (name === 'RUN') await run('unshare', commandIn(stage, ['sh', '-c', rest], 'root'), '/', this.#env);
    else if (name === 'USER') stage.user = rest;
    else if (name === 'VOLUME') stage.volumes = [...stage.volumes, rest];
    else if (name === 'EXPOSE') stage.ports = rest.split(' ').map(Number);
    else if (name === 'STOPSIGNAL') stage.stopSignal = rest;
    else if (name === 'HEALTHCHECK') stage.healthCheck = JSON.parse(rest.slice(rest.indexOf('CMD ') + 4)) as string[];
    else if (name === 'ENTRYPOINT') stage.entrypoint = JSON.parse(rest) as string[];
    else throw new Error(`${name} is not known here`);
  }

  #from(rest: string): void {
    const root = mkdtempSync(join(tmpdir(), 'hub-image-'));
    chmodSync(root, 0o755);
    for (const folder of [...BASE, 'tmp']) mkdirSync(join(root, folder));
    this.#last = {
      ...{ root, env: {}, folder: '/', user: 'root', ports: [], volumes: [] },
      ...{ stopSignal: '', healthCheck: [], entrypoint: [] },
    };
    this.#stages.set(/ AS (\w+)$/.exec(rest)?.[1] ?? '', this.#last);
  }

  #copy(args: readonly string[]): void {
    const from = args.find((arg) => arg.startsWith('--from='))?.slice('--from='.length);
    const paths = args.filter((arg) => !arg.startsWith('--'));
    const to = join(this.#stage.root, this.#stage.folder, paths.at(-1) ?? '');
    for (const path of paths.slice(0, -1)) {
      const source = join(from === undefined ? this.#context : (this.#stages.get(from)?.root ?? ''), path);
      if (!existsSync(source)) throw new Error(`COPY: ${source} does not exist`);
      const filter = (one: string): boolean =>
        from !== undefined || !isIgnored(relative(this.#context, one), this.#dockerignore);
      if (from === undefined && isIgnored(path, this.#dockerignore)) throw new Error(`COPY: ${path} is ignored`);
      const target = statSync(source).isFile() ? join(to, path.split('/').at(-1) ?? '') : to;
      mkdirSync(dirname(target), { recursive: true });
      cpSync(source, target, { recursive: true, filter });
    }
  }
}

/** The arguments of `unshare` for a command in the root of the image. */
function commandIn({ root, folder, env }: Image, command: readonly string[], user: string): string[] {
  const mounts = BASE.map((name) => `mount --rbind /${name} "$root/${name}"`);
  // The root is a mount of its own, so that all else of this machine can be written to by nobody in it.
  const script = [
    'set -e',
    'root="$0"',
    'mount --make-rprivate /',
    ...mounts,
    'mount -o remount,bind,ro "$root/usr"',
    'mount -o remount,bind,ro "$root/etc"',
    'for name in bin sbin lib lib64; do [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"; done',
    'chmod 1777 "$root/tmp"',
    'folder="$1" user="$2"; shift 2',
    'exec chroot --userspec="$user" "$root" sh -c \'cd "$0" && exec "$@"\' "$folder" "$@"',
  ].join('\n');
  const inside = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...command];
  return ['--mount', 'sh', '-c', script, root, folder, user === 'root' ? '0:0' : user, ...inside];
}

/** Starts a command of the image as its user. */
export function startIn(image: Image, command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const withEnv = { ...image, env: { ...image.env, ...env } };
  return spawn('unshare', commandIn(withEnv, command, image.user), { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
}
