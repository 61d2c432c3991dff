/** SIGHUP at a bad moment, or with files that are none: the hub keeps its settings, says so in one line, and runs on. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, ftruncateSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { startHubProcess, startLine, type HubProcess } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { WsClient } from '../support/ws-client.ts';
import { certificateFile } from '../support/certificate-file.ts';
import { useProcessFolder } from '../support/process-folder.ts';

vi.setConfig({ testTimeout: 60_000 });

const folder = useProcessFolder('hub-reload-');

const write = (name: string, settings: object): string => {
  const path = folder.at(name);
  writeFileSync(path, JSON.stringify(settings));
  return path;
};
const replaceByPipe = (path: string): void => {
  rmSync(path);
  execFileSync('mkfifo', [path]);
};

/** The log of a hub that has started. */
async function logOf(
  hub: HubProcess,
): Promise<{ readonly stdout: string; readonly says: (text: string) => Promise<void> }> {
  let log = '';
  hub.child.stderr?.on('data', (text: string) => (log += text));
  const stdout = await hub.started;
  return {
    stdout,
    says: (text) => expect.poll(() => log, { interval: 20, timeout: 20_000 }).toContain(text),
  };
}

test(
  'SIGHUP with a pipe or a huge file as HUB_CONFIG changes nothing, and the hub answers (S19)',
  needing('Linux'),
  async () => {
    const path = write('hub.json', { HUB_MAX_FRIENDS: 5 });
    const hub = startHubProcess({ HUB_CONFIG: path });
    const { stdout, says } = await logOf(hub);
    replaceByPipe(path);
    hub.child.kill('SIGHUP');
    await says('nothing was reloaded: HUB_CONFIG is');
    await says('it is not a regular file');
    rmSync(path);
    ftruncateSync(openSync(path, 'w'), 2 ** 31);
    hub.child.kill('SIGHUP');
    await says('it is larger than 16 MiB');
    expect((await fetch(`${startLine(stdout, 'page')}healthz`)).status).toBe(200);
    write('hub.json', { HUB_MAX_FRIENDS: 6 });
    hub.child.kill('SIGHUP');
    await says('"changed":["HUB_MAX_FRIENDS"]');
  },
);

test('a certificate that has become a pipe stops no later reload (S19)', needing('Linux'), async () => {
  const [cert, key] = [folder.at('crt.pem'), folder.at('key.pem')];
  copyFileSync(certificateFile('first.crt'), cert);
  copyFileSync(certificateFile('first.key'), key);
  const path = write('hub.json', {});
  const hub = startHubProcess({ HUB_CONFIG: path, HUB_TLS_CERT: cert, HUB_TLS_KEY: key });
  const { says } = await logOf(hub);
  replaceByPipe(cert);
  hub.child.kill('SIGHUP');
  await says('it is not a regular file); name a PEM file with the certificate');
  write('hub.json', { HUB_MAX_FRIENDS: 6 });
  hub.child.kill('SIGHUP');
  await says('"changed":["HUB_MAX_FRIENDS"]');
});

test.each([
  ['HUB_WEBHOOKS', '[]'],
  ['HUB_POLL', '[]'],
])('%s that has become a pipe is reported, and the hub still stops', needing('Linux'), async (name, text) => {
  const path = folder.at('rules.json');
  writeFileSync(path, text);
  const hub = startHubProcess({ [name]: path, HUB_DRAIN_MS: '0' });
  const { says } = await logOf(hub);
  replaceByPipe(path);
  await says('it is not a regular file');
  hub.child.kill('SIGTERM');
  expect((await hub.exited).code).toBe(0);
});

test('a file that is not applied does not change how long a stop may take (S19)', async () => {
  const path = write('hub.json', { HUB_DRAIN_MS: 3000 });
  const hub = startHubProcess({ HUB_CONFIG: path });
  const { stdout, says } = await logOf(hub);
  // It is wrong only once its parts are read, and would end a drain of 3 s as one that takes too long.
  write('hub.json', { HUB_DRAIN_MS: 0, HUB_TCP_ALLOW: 'everyone' });
  hub.child.kill('SIGHUP');
  await says('nothing was reloaded');
  const client = await WsClient.hello(startLine(stdout, 'websocket'), { user: '42' });
  hub.child.kill('SIGTERM');
  const { code, stderr } = await hub.exited;
  expect(stderr).not.toContain('did not stop within');
  expect(code).toBe(0);
  client.close();
});

test('SIGHUP to a hub that has just been started does not end it (S19)', needing('Linux'), async () => {
  // Sends the signal as soon as the launcher listens to its first one, before the hub is loaded.
  const preload = folder.at('early.mjs');
  writeFileSync(
    preload,
    `process.on('newListener', (name) => {
       if (name === 'SIGUSR1') setImmediate(() => process.kill(process.pid, 'SIGHUP'));
     });`,
  );
  const hub = startHubProcess({ NODE_OPTIONS: `--import=${preload}` });
  await hub.started;
});
