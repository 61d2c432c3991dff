/** What one user can make others receive, and what the answers to others reveal of it, over real sockets. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MAX_ENTRY_BYTES, REPORT_EVERY_MS } from '../../shared/limits.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('a user', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
  });
  afterEach(() => hub.stop());

  it('with fifty long labels who changes all the time makes a watcher receive 2 kB twenty times a second', async () => {
    const label = (no: number) => String(no).padStart(2, '0') + '電'.repeat(62);
    const tabs: WsClient[] = [];
    for (let i = 0; i < 50; i++)
      tabs.push(await WsClient.hello(hub.addresses.ws, { user: '42', device: label(i), text: '\u0001'.repeat(140) }));
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users: ['42'] });
    await watcher.next('snapshot');
    const startedAt = performance.now();
    for (let i = 0; i < 300; i++) {
      tabs[0]!.send({ type: 'heartbeat', status: i % 2 === 0 ? 'busy' : 'away' });
      if (i % 10 === 9) await tabs[0]!.roundTrip();
    }
    tabs[0]!.send({ type: 'heartbeat', text: 'the last' });
    await watcher.next('presence', ({ entries }) => entries[0]?.text === 'the last');
    const tookMs = performance.now() - startedAt;
    const told = watcher.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(told.length).toBeLessThanOrEqual(tookMs / REPORT_EVERY_MS + 2);
    for (const entry of told) expect(Buffer.byteLength(JSON.stringify(entry))).toBeLessThanOrEqual(MAX_ENTRY_BYTES);
    expect(told.at(-1)!.devices.length).toBeLessThan(50);
  });

  it('cannot tell from the ids in its welcomes whether others, or how many, began in between', async () => {
    const idOf = async (hello: object): Promise<string> => {
      const client = await WsClient.open(hub.addresses.ws);
      client.send({ type: 'hello', ...hello });
      const { session, node } = await client.next('welcome');
      client.send({ type: 'bye' });
      await client.closed;
      expect(session).toMatch(new RegExp(`^${node}\\.[0-9a-f]{16}$`));
      return session.slice(node.length + 1);
    };
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push(await idOf({ user: 'bob' }));
      if (i % 2 === 0) ids.push(await idOf({ user: 'bob', observe: true }));
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).not.toEqual(ids.toSorted());
    expect(ids).not.toEqual(ids.toSorted().toReversed());
    // No two are near one another.
    const values = ids.map((id) => BigInt(`0x${id}`)).toSorted((a, b) => (a < b ? -1 : 1));
    for (let i = 1; i < values.length; i++) expect(values[i]! - values[i - 1]! > 2n ** 32n).toBe(true);
  });
});
