/** The hub with few file descriptors, as a process of its own under `ulimit -n`: it serves who is there, and says what it lacks. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { onBothEngines } from '../support/hub.ts';
import { endHubProcesses, startHubProcess, startLine, type HubProcess } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { WsClient } from '../support/ws-client.ts';

const crowd: Socket[] = [];
afterEach(async () => {
  for (const socket of crowd.splice(0)) socket.destroy();
  await endHubProcesses();
});

/** Connections that say nothing; the hub may end them. */
async function comeToo(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    crowd.push(socket);
  }
  await delay(500);
}

/** Seconds of CPU that the process has used. */
function cpuS({ child }: HubProcess): number {
  const fields =
    readFileSync(`/proc/${child.pid ?? 0}/stat`, 'latin1')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const openFiles = (pid: number) =>
  spawnSync('sh', ['-c', `ls /proc/${pid}/fd | wc -l`])
    .stdout.toString()
    .trim();

describe('at the limit on file descriptors', needing('Linux'), () => {
  onBothEngines('the hub', (transport) => {
    const start = async (maxFiles: number) => {
      const hub = startHubProcess(
        { HUB_TRANSPORT: transport, HUB_HEARTBEAT_MS: '1000', HUB_TIMEOUT_MS: '60000' },
        [],
        maxFiles,
      );
      let log = '';
      hub.child.stderr?.on('data', (text: string) => (log += text));
      const stdout = await hub.started;
      const url = startLine(stdout, 'websocket');
      const warnings = () => log.split('\n').filter((line) => line.includes('file descriptors'));
      return { hub, stdout, url, port: Number(new URL(url).port), warnings };
    };
    const isServed = async (watcher: WsClient, user: WsClient) => {
      user.send({ type: 'heartbeat', status: 'busy' });
      await watcher.next('presence', ({ entries }) => entries[0]?.status === 'busy');
      user.send({ type: 'heartbeat', status: 'online' });
      await watcher.next('presence', ({ entries }) => entries[0]?.status === 'online');
    };
    const watch = async (url: string) => {
      const watcher = await WsClient.hello(url, { observe: true });
      watcher.send({ type: 'watch', users: ['42'] });
      await watcher.next('snapshot');
      return { watcher, user: await WsClient.hello(url, { user: '42' }) };
    };
    /** Whether somebody new is welcomed within the 6 s that are promised. */
    const letsIn = async (url: string) => {
      for (const until = Date.now() + 6_000; Date.now() < until; await delay(100)) {
        const welcomed = await WsClient.hello(url, { user: '7' }).catch(() => undefined);
        if (welcomed !== undefined) return true;
      }
      return false;
    };
    const usesLittle = async (hub: HubProcess) => {
      const before = cpuS(hub);
      await delay(3_000);
      expect((cpuS(hub) - before) / 3).toBeLessThan(0.2);
    };

    it('rests, serves the connected clients, warns once with the limit, and admits others when there is room', async () => {
      const { hub, stdout, url, port, warnings } = await start(200);
      expect(stdout).toMatch(
        / {2}warning +the limit on file descriptors \(ulimit -n\) is 200, so no more than \d+ connections/,
      );
      const { watcher, user } = await watch(url);
      await comeToo(port, 400);
      await usesLittle(hub);
      await isServed(watcher, user);
      expect(warnings()).toHaveLength(1);
      expect(warnings()[0]).toContain('"limit":200');
      for (const socket of crowd.splice(0)) socket.destroy();
      expect(await letsIn(url)).toBe(true);
    });

    it('does so when the limit is lowered to what is open already', async () => {
      const { hub, url, port, warnings } = await start(4_000);
      const { watcher, user } = await watch(url);
      await comeToo(port, 300);
      const pid = hub.child.pid ?? 0;
      spawnSync('prlimit', ['--pid', String(pid), `--nofile=${openFiles(pid)}:4000`]);
      await comeToo(port, 100);
      await delay(1_500);
      await usesLittle(hub);
      await isServed(watcher, user);
      expect(warnings()).toHaveLength(1);
      for (const socket of crowd.splice(0)) socket.destroy();
      expect(await letsIn(url)).toBe(true);
    });
  });
});
