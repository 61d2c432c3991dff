/** Blocks that are lifted and set while another node is stopped (PROTOCOL.md C7, C12). */
import { afterEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../../shared/messages/entry.ts';
import { ask, ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';

const BLOCK = '/v1/users/blocks-you/blocks/viewer';

let stage: ClusterStage | undefined;
afterEach(async () => {
  await endHubProcesses();
  await stage?.stop();
});

/** What `viewer` is shown of `blocks-you`. */
async function shown(hub: ClusterHub): Promise<Entry> {
  const client = await WsClient.hello(hub.ws, { observe: true, user: 'viewer' });
  client.send({ type: 'watch', users: ['blocks-you'] });
  const { entries } = await client.next('snapshot');
  client.close();
  return entries[0]!;
}

describe('while a node is stopped', needing('redis-server'), () => {
  it('a block is answered once the node counts as dead, and then the viewer there receives nothing about the user (C7)', async () => {
    stage = await ClusterStage.start();
    const [a, b] = await stage.hubs(2);
    // A block of a user never seen, which node B learns.
    expect((await ask(a!, 'PUT', BLOCK)).status).toBe(204);
    const onB = await WsClient.hello(b!.ws, { observe: true, user: 'viewer' });
    onB.send({ type: 'watch', users: ['blocks-you'] });
    expect((await onB.next('snapshot')).entries[0]).toMatchObject({ status: 'offline', v: 0 });

    b!.process.child.kill('SIGSTOP');
    expect((await ask(a!, 'DELETE', BLOCK)).status).toBe(204);
    await WsClient.hello(a!.ws, { user: 'blocks-you' });
    expect((await ask(a!, 'PUT', BLOCK)).status).toBe(204);
    b!.process.child.kill('SIGCONT');

    const onA = await shown(a!);
    expect(onA.status).toBe('offline');
    await expect.poll(() => shown(b!), { timeout: 20_000, interval: 200 }).toEqual(onA);
    const entries = onB.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(entries.filter(({ status }) => status !== 'offline')).toEqual([]);
  });
});
