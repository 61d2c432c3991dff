/** A block through real sockets and across restarts (PROTOCOL.md sections 1 and 5), clean ones and kills. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { WsClient } from '../support/ws-client.ts';

const block = '/v1/users/anna/blocks/eve';

/** What a connection of `user` is shown of anna when it asks. */
async function annaAsSeenBy(user: string, ws: string): Promise<Entry> {
  const client = await WsClient.hello(ws, { user });
  client.send({ type: 'watch', users: ['anna'] });
  const [entry] = (await client.next('snapshot')).entries;
  client.send({ type: 'bye' });
  await client.closed;
  if (entry === undefined) throw new Error('no entry of anna');
  return entry;
}

onBothEngines('a block', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
  });
  afterEach(() => hub.stop());

  it('shows the blocked one a goodbye before the 204, and nothing after it; others receive what is true (H9)', async () => {
    await hub.request('PUT', '/v1/users/eve/friends/anna');
    const anna = await WsClient.hello(hub.addresses.ws, { user: 'anna' });
    const eve = await WsClient.hello(hub.addresses.ws, { user: 'eve' });
    const bob = await WsClient.hello(hub.addresses.ws, { user: 'bob' });
    eve.send({ type: 'watch', friendsOf: 'eve' });
    eve.send({ type: 'watch', users: ['anna'] });
    bob.send({ type: 'watch', users: ['anna'] });
    for (const client of [eve, eve, bob]) await client.next('snapshot');

    expect((await hub.request('PUT', block)).status).toBe(204);
    expect(await eve.entryOf('anna')).toMatchObject({ status: 'offline', devices: [], since: hub.clock.wallMs });
    anna.send({ type: 'heartbeat', status: 'busy', text: 'without eve' });
    expect(await bob.entryOf('anna')).toMatchObject({ status: 'busy' });
    await eve.roundTrip();
    const reported = eve.all.filter(({ type }) => type === 'presence');
    expect(reported).toHaveLength(1);

    expect((await hub.request('DELETE', block)).status).toBe(204);
    expect(await eve.entryOf('anna')).toMatchObject({ status: 'busy', text: 'without eve' });
    await bob.roundTrip();
    expect(bob.all.filter(({ type }) => type === 'presence')).toHaveLength(1);
    for (const client of [anna, bob, eve]) client.close();
  });

  it('toggled as fast as requests go reaches the blocked one every 50 ms at most, the last word included (H9)', async () => {
    const anna = await WsClient.hello(hub.addresses.ws, { user: 'anna' });
    const eve = await WsClient.hello(hub.addresses.ws, { user: 'eve' });
    eve.send({ type: 'watch', users: ['anna'] });
    await eve.next('snapshot');
    const begunAt = performance.now();
    const toggles = Array.from({ length: 50 }, (_, i) => hub.request(i % 2 === 0 ? 'PUT' : 'DELETE', block));
    for (const { status } of await Promise.all(toggles)) expect(status).toBe(204);
    await hub.request('PUT', block);
    await eve.roundTrip();
    const reported = eve.all.filter(({ type }) => type === 'presence');
    expect(reported.length).toBeLessThanOrEqual((performance.now() - begunAt) / 50 + 1);
    expect(reported.at(-1)).toMatchObject({ entries: [{ user: 'anna', status: 'offline' }] });
    for (const client of [anna, eve]) client.close();
  });
});

it('is after a clean restart as it was before, to the version, and is lifted as ever', async () => {
  const data = mkdtempSync(join(tmpdir(), 'hub-blocks-'));
  let hub = await startTestHub({ data });
  try {
    const anna = await WsClient.hello(hub.addresses.ws, { user: 'anna', status: 'busy' });
    await hub.request('PUT', block);
    const frozen = await annaAsSeenBy('eve', hub.addresses.ws);
    const truth = await annaAsSeenBy('bob', hub.addresses.ws);
    expect([frozen.status, truth.status]).toEqual(['offline', 'busy']);
    await hub.stop();
    await anna.closed;
    hub = await startTestHub({ data });
    expect(await annaAsSeenBy('eve', hub.addresses.ws)).toEqual(frozen);
    expect((await annaAsSeenBy('bob', hub.addresses.ws)).status).toBe('busy');
    await hub.request('DELETE', block);
    const lifted = await annaAsSeenBy('eve', hub.addresses.ws);
    expect(lifted).toEqual({ ...truth, v: lifted.v });
    expect(lifted.v).toBeGreaterThan(Math.max(frozen.v, truth.v));
    await hub.stop();
    hub = await startTestHub({ data });
    expect(await annaAsSeenBy('eve', hub.addresses.ws)).toEqual(lifted);
  } finally {
    await hub.stop();
    rmSync(data, { recursive: true });
  }
});

it('stands after a kill, with nothing changed but a version above all that was sent', async () => {
  const data = mkdtempSync(join(tmpdir(), 'hub-blocks-'));
  const start = async () => {
    const hub = startHubProcess({ HUB_DATA: data });
    const page = startLine(await hub.started, 'page').replace(/\/$/, '');
    return { hub, page, ws: `${page.replace('http', 'ws')}/ws` };
  };
  try {
    const first = await start();
    const anna = await WsClient.hello(first.ws, { user: 'anna', status: 'busy' });
    // Killed at the answer: nothing that is written behind can be stored yet.
    expect((await fetch(first.page + block, { method: 'PUT' })).status).toBe(204);
    const frozen = await annaAsSeenBy('eve', first.ws);
    const truth = await annaAsSeenBy('bob', first.ws);
    expect((await fetch(`${first.page}/v1/users/carl/blocks/eve`, { method: 'PUT' })).status).toBe(204);
    first.hub.child.kill('SIGKILL');
    await Promise.all([first.hub.exited, anna.closed]);

    const second = await start();
    const again = await annaAsSeenBy('eve', second.ws);
    expect(again).toEqual({ ...frozen, v: again.v });
    expect(again.v).toBeGreaterThan(Math.max(frozen.v, truth.v));
    expect((await fetch(second.page + block, { method: 'DELETE' })).status).toBe(204);
    const lifted = await annaAsSeenBy('eve', second.ws);
    expect(lifted.status).toBe('busy');
    expect(lifted.v).toBeGreaterThan(again.v);
  } finally {
    await endHubProcesses();
    rmSync(data, { recursive: true, force: true });
  }
});
