/** Commands of README.md, run as they stand but for the port, the folder of the data and where the programs are. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../support/hub-process.ts';
import { run, runOn, type RunningCommand } from '../support/packed.ts';
import { snippetsBelow } from '../support/snippets.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const program = `node ${join(repository, 'server/launch.mjs')}`;

let folder: string;
let running: RunningCommand[] = [];
let ports: { http: number; tcp: number };

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hub-readme-'));
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  ports = { http: await freePort(), tcp: await freePort() };
});
afterEach(async () => {
  await Promise.all(running.map((command) => command.end()));
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

function script(text: string): string[] {
  const here = text
    .replaceAll('8080', String(ports.http))
    .replaceAll('60001', String(ports.tcp))
    .replaceAll('npm start', program)
    .replaceAll('npx presence-hub', program);
  const settings = `export HUB_PORT=${ports.http} HUB_TCP_PORT=${ports.tcp} HUB_DATA=:memory:`;
  return ['-c', `${settings}\n${here}`];
}

function start(text: string): RunningCommand {
  const command = runOn('bash', script(text), folder);
  running.push(command);
  return command;
}

describe('the README', () => {
  it('shows by hand that 7 is online, and 42 as a legacy client', async () => {
    await start('npm start').printed(/Ctrl-C stops/);
    const byHand = snippetsBelow('README.md', 'See it live in a minute', 'sh').at(-1) ?? '';
    await start(byHand).printed(/"user":"7","status":"online"[^}]*"text":"from curl"/);
    await start('npx presence-hub watch 7').printed(/\t42\tonline/);
  });

  it('posts changes to the receiver of the guide to webhooks', async () => {
    const [receiver = ''] = snippetsBelow('shared/WEBHOOKS.md', 'A receiver', 'js');
    const [serve = '', beat = ''] = snippetsBelow('shared/WEBHOOKS.md', 'A receiver', 'sh');
    const port = String(await freePort());
    writeFileSync(join(folder, 'receiver.mjs'), receiver.replace('9000', port));
    const served = start(serve.replace('9000', port));
    await served.printed(/Ctrl-C stops/);
    start(beat);
    await served.printed(/7: offline -> online \(began\)[^]*7: online -> offline \(lapsed\)/);
  });

  it('turns on tokens and TLS, and watches with a token', async () => {
    const [serve = '', use = ''] = snippetsBelow('shared/SECURE-SETUP.md', 'On the internet', 'sh');
    await start(serve).printed(/Ctrl-C stops/);
    await start(use).printed(/\t7\toffline/);
    expect(await run('bash', script('stat -c %a hub.env'), folder)).toBe('600\n');
  });
});
