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
    const reported = watcher.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(reported.length).toBeLessThanOrEqual(tookMs / REPORT_EVERY_MS + 2);
    for (const entry of reported) expect(Buffer.byteLength(JSON.stringify(entry))).toBeLessThanOrEqual(MAX_ENTRY_BYTES);
    expect(reported.at(-1)!.devices.length).toBeLessThan(50);
  });

  it('cannot derive from the ids in its welcomes whether others, or how many, began in between (W25)', async () => {
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

  it.each(['\ud83d', 'a\ude42b', '\ude42\ud83d'])(
    'cannot send half of a surrogate pair to anybody: %j (I3)',
    async (half) => {
      const raw: string[] = [];
      const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
      watcher.send({ type: 'watch', users: ['42', '43'] });
      await watcher.next('snapshot');

      const client = await WsClient.open(hub.addresses.ws);
      const isRefused = async (message: object, code = 'bad_message'): Promise<void> => {
        client.send(message);
        const error = await client.next('error');
        expect(error.code).toBe(code);
        raw.push(JSON.stringify(error));
      };
      await isRefused({ type: 'hello', user: '42', text: half });
      await isRefused({ type: 'hello', user: '42', device: half });
      await isRefused({ type: 'hello', user: '42', id: half });
      client.send({ type: 'hello', user: '42' });
      await client.next('welcome');
      await isRefused({ type: 'heartbeat', text: half });
      await isRefused({ type: 'heartbeat', id: half });
      await isRefused({ type: half, id: half }, 'unknown_type');
      for (const field of ['device', 'text', 'status']) {
        const answer = await hub.request('POST', '/v1/heartbeat', { user: '43', [field]: half });
        expect(answer.status).toBe(400);
        raw.push(JSON.stringify(answer.body));
      }
      client.send({ type: 'heartbeat', text: 'whole \ud83d\ude42' });
      await watcher.next('presence', ({ entries }) => entries[0]?.text === 'whole \ud83d\ude42');
      raw.push(JSON.stringify(watcher.all), JSON.stringify(client.all));
      raw.push(JSON.stringify((await hub.request('GET', '/v1/users/42/explain')).body));
      expect(raw.filter((text) => /\\ud[89a-f]/i.test(text))).toEqual([]);
    },
  );
});
