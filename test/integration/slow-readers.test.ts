/** Clients that read too slowly, through real sockets (PROTOCOL.md section 4): sent a new snapshot, bounded, at last 1013; others feel nothing. */
import { afterEach, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

/** One snapshot of them is some 700 KB. */
const FRIENDS = 5000;
const friends = Array.from({ length: FRIENDS }, (_, n) => `friend-${n}-`.padEnd(45, 'x'));
const first = friends[0]!;
/** 14 MB: more than the system keeps for a connection on the way (up to 10 MB), and less than the engine’s last bound. */
const FILLING = 20;

onBothEngines('a slow reader', (transport) => {
  let hub: TestHub;
  let slow: WsClient;
  let other: WsClient;

  const start = async (settings: Parameters<typeof startTestHub>[0]): Promise<void> => {
    hub = await startTestHub({ transport, messagesPerS: 100_000, maxWatches: 3, ...settings });
    expect((await hub.request('PUT', '/v1/users/42/friends?oneway=true', { friends })).status).toBe(204);
    slow = await WsClient.hello(hub.addresses.ws, { user: '42' }, { perMessageDeflate: false });
    other = await WsClient.hello(hub.addresses.ws, { observe: true });
    other.send({ type: 'watch', users: [first] });
    await other.next('snapshot');
    slow.send({ type: 'watch', friendsOf: '42' });
    await slow.next('snapshot');
  };
  /** Asks for much and reads none of it. */
  const stopReading = (asks: number): void => {
    slow.pause();
    for (let n = 0; n < asks; n++) slow.send({ type: 'watch', friendsOf: '42', id: n });
  };
  /** Stops reading, with answers on the way that no buffer of the system holds. */
  const fallBehind = async (): Promise<void> => {
    stopReading(FILLING);
    // The hub has answered them once it refuses the watch that follows on the same connection.
    slow.send({ type: 'watch', users: ['one', 'too', 'many'] });
    await hub.until(async () => (await hub.metric('presence_hub_refused_total{reason="watches"}')) === 1);
  };
  const changeFirst = async (text: string): Promise<void> => {
    await hub.request('POST', '/v1/heartbeat', { user: first, text, ttlMs: 3_600_000 });
    expect(await other.entryOf(first)).toMatchObject({ text });
  };
  afterEach(async () => {
    slow.cut();
    other.cut();
    await hub.stop();
  });

  it('is sent a new full snapshot once it reads again, if changes were lost on it (W43)', async () => {
    await start({ maxQueuedBytes: 16_777_216 });
    await fallBehind();
    for (const text of ['one', 'two', 'three']) await changeFirst(text);
    slow.resume();
    const snapshot = await slow.next('snapshot', ({ re }) => re === undefined);
    expect(snapshot).toMatchObject({ friendsOf: '42' });
    expect(snapshot.since).toBeUndefined();
    expect(snapshot.entries).toHaveLength(FRIENDS);
    expect(await hub.metric('presence_hub_resyncs_total{reason="slow_reader"}')).toBe(1);
    expect(snapshot.entries.find(({ user }) => user === first)).toMatchObject({ text: 'three' });
    const reported = slow.all.filter((message) => message.type === 'presence');
    expect(JSON.stringify(reported)).not.toContain('two');
    await changeFirst('four');
    expect(await slow.entryOf(first)).toMatchObject({ text: 'four' });
  });

  it('that asks on and on without reading is closed with 1013 and counted; the others go on', async () => {
    await start({ maxQueuedBytes: 2_000_000 });
    stopReading(3 * FILLING);
    const refused = 'presence_hub_refused_total{reason="slow_reader"}';
    await hub.until(async () => (await hub.metric(refused)) === 1);
    await changeFirst('still told');
    slow.resume();
    expect(await slow.closed).toBe(1013);
    expect(slow.closeReason).toContain('too slowly');
    const answers = slow.all.filter(({ type }) => type === 'snapshot').length;
    expect(answers).toBeLessThan(2 * FILLING);
  });

  it('that does not catch up in time is closed with 1013, too', async () => {
    await start({ maxQueuedBytes: 16_777_216, slowMs: 4_000 });
    await fallBehind();
    hub.clock.pass(3_000);
    await changeFirst('in time');
    expect(await hub.metric('presence_hub_refused_total{reason="slow_reader"}')).toBe(0);
    hub.clock.pass(8_000);
    await hub.until(async () => (await hub.metric('presence_hub_refused_total{reason="slow_reader"}')) === 1);
    slow.resume();
    expect(await slow.closed).toBe(1013);
    expect(slow.closeReason).toContain('too slowly');
  });
});
