/** The image: its Dockerfile, run step by step without a container engine, and the hub in it as its user runs it. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { WsClient } from '../support/ws-client.ts';
import { DockerBuild, isIgnored, parseDockerfile, startIn, type Image } from './dockerfile.ts';

// It installs all packages and builds everything.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 900_000 });

const repository = fileURLToPath(new URL('../..', import.meta.url));
const dockerfile = join(repository, 'deploy/Dockerfile');

describe('the image', needing('mount namespaces'), () => {
  let build: DockerBuild;
  let image: Image;
  beforeAll(async () => {
    const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
    build = new DockerBuild(repository, dockerfile, { HOME: '/tmp', npm_config_registry: registry });
    image = await build.build(parseDockerfile(readFileSync(dockerfile, 'utf8')));
  });
  afterAll(() => build.remove());

  /** Runs a command in the image to its end. */
  const ended = async (command: readonly string[], env: Record<string, string>) => {
    const child = startIn(image, command, env);
    let output = '';
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  };

  it('holds the built hub with what it needs to run, and nothing of how it is made', () => {
    const app = join(image.root, 'app');
    expect(readdirSync(app).sort()).toEqual([
      'LICENSE',
      'dist',
      'health.mjs',
      'node_modules',
      'package.json',
      'server',
    ]);
    expect(readdirSync(join(app, 'server'))).toEqual(['launch.mjs']);
    for (const name of ['typescript', 'vite', 'vitest', 'eslint'])
      expect(readdirSync(join(app, 'node_modules'))).not.toContain(name);
    const megabytes = Number(execFileSync('du', ['-sm', app], { encoding: 'utf8' }).split('\t')[0]);
    process.stdout.write(`the image adds ${megabytes} MB to its base\n`);
    expect(megabytes).toBeLessThan(120);
  });

  it('does not run as root, and can write nothing but its data', () => {
    expect(image.user).toBe('1000:1000');
    const [data = ''] = image.volumes;
    expect(data).toBe(image.env['HUB_DATA']);
    expect(statSync(join(image.root, data)).uid).toBe(1000);
    for (const path of ['app', 'app/dist', 'app/server/launch.mjs'])
      expect(statSync(join(image.root, path)).uid).toBe(0);
  });

  it('refuses to serve everyone as an administrator', async () => {
    const { code, output } = await ended(image.entrypoint, { HUB_PORT: '0', HUB_TCP_PORT: '0' });
    expect(code).not.toBe(0);
    expect(output).toContain('HUB_ALLOW_OPEN');
  });

  it('is healthy once it serves, and drains on the signal that stops it', async () => {
    const port = await freePort();
    const env = {
      ...{ HUB_PORT: String(port), HUB_TCP_PORT: '0', HUB_DRAIN_MS: '1500' },
      ...{ HUB_AUTH: 'jwt', HUB_JWT_SECRET: 'a-secret-of-at-least-32-bytes-for-tests' },
    };
    expect(await ended(image.healthCheck, env)).toMatchObject({ code: 1 });
    const hub = startIn(image, image.entrypoint, env);
    const exited = once(hub, 'close');
    let stdout = '';
    await new Promise<void>((resolve, reject) => {
      hub.stdout?.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
        if (stdout.includes('Ctrl-C stops')) resolve();
      });
      void exited.then(() => reject(new Error(`the hub ended: ${stdout}`)));
    });
    expect(await ended(image.healthCheck, env)).toEqual({ code: 0, output: '' });
    expect(readFileSync(`/proc/${hub.pid}/status`, 'utf8')).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
    expect(readdirSync(join(image.root, 'data'))).toContain('hub.sqlite');
    expect(image.ports).toEqual([8080, 60001]);

    const client = await WsClient.open(`ws://127.0.0.1:${port}/ws`);
    expect(image.stopSignal).toBe('SIGTERM');
    hub.kill('SIGTERM');
    await client.next('reconnect');
    client.close();
    expect(await exited).toEqual([0, null]);
  });
});

describe('the context of the image', () => {
  it('has no file that could be a secret, data or a build of this machine', () => {
    const ignore = readFileSync(`${dockerfile}.dockerignore`, 'utf8');
    expect(ignore.split('\n')[0]).toBe('**');
    for (const path of [
      'hub.env',
      'data/hub.sqlite',
      'node_modules/ws',
      'dist/server/main.js',
      '.git/config',
      'test/a.ts',
    ])
      expect([path, isIgnored(path, ignore)]).toEqual([path, true]);
    for (const path of ['package.json', 'server/main.ts', 'deploy/health.mjs'])
      expect([path, isIgnored(path, ignore)]).toEqual([path, false]);
  });
});
