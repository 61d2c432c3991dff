/** Bad tokens through every door: beyond the rate of an address none is verified, and nobody with a good one pays for it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ask } from '../support/ask.ts';
import { onBothEngines } from '../support/hub.ts';
import { frame } from '../support/legacy-client.ts';
import { startTcpHub, type TcpHub } from '../support/tcp-hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-of-some-length';
/** What one address may send at one bad token a second. */
const BURST = 10;

onBothEngines('an address that has sent as many bad tokens as it may', (transport) => {
  let hub: TcpHub;
  let serial = 0;
  const good = (user: string) => tokenFor(user, { clock: hub.clock });
  const bad = () => tokenFor(`bad-${serial++}`, { clock: hub.clock, secret: 'x'.repeat(32) });
  const presence = (token: string, from?: string) =>
    ask(hub.addresses.http, 'GET', '/v1/presence/42', { token, ...(from !== undefined && { from }) });
  const useUp = async (): Promise<void> => {
    for (let i = 0; i < BURST; i++) expect((await presence(await bad())).status).toBe(401);
  };

  beforeEach(async () => {
    hub = await startTcpHub({
      transport,
      auth: 'jwt',
      tcpAuth: 'token',
      jwtSecret: TEST_SECRET,
      adminToken: ADMIN,
      tcpAck: true,
      messagesPerS: 1,
    });
  });
  afterEach(() => hub.stop());

  it('gets 429 with `retry-after`, until there is time for another one (W8)', async () => {
    await useUp();
    expect(await presence(await good('42'))).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(await hub.refusals()).toMatchObject({ unauthenticated: BURST, messages: 1 });
    hub.clock.pass(1000);
    expect((await presence(await good('42'))).status).toBe(200);
  });

  it('is served with a token that was verified before, and so is every other address (W8)', async () => {
    const known = await good('42');
    expect((await presence(known)).status).toBe(200);
    await useUp();
    expect((await presence(known)).status).toBe(200);
    expect((await presence(await tokenFor('42', { clock: hub.clock, expiresInS: 60 }), '127.0.0.2')).status).toBe(200);
  });

  it('is notified over WebSocket to come back: `reconnect`, `unavailable` and 1013 (W8)', async () => {
    await useUp();
    const client = await WsClient.open(hub.addresses.ws);
    client.send({ type: 'hello', user: '42', token: await good('42') });
    expect(await client.closed).toBe(1013);
    expect(client.all).toMatchObject([
      { type: 'reconnect', afterMs: expect.any(Number) as number },
      { type: 'error', code: 'unavailable' },
    ]);
    expect(client.closeReason).toContain('bad tokens');
  });

  it('keeps its WebSocket when a fresh token can’t be verified', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42', token: await good('42') });
    await useUp();
    client.send({ type: 'token', token: await tokenFor('42', { clock: hub.clock, expiresInS: 60 }), id: 't' });
    expect(await client.next('error')).toMatchObject({ code: 'unavailable', re: 't' });
    client.send({ type: 'heartbeat', id: 'h' });
    expect(await client.next('ok')).toMatchObject({ re: 'h' });
  });

  it('is notified over TCP that its token is undecided, which is no bad frame, and counts with a later frame', async () => {
    await useUp();
    const client = await hub.open();
    client.write(frame('42', 1, await good('42')));
    await client.waitFor('<error code="unavailable">');
    expect(await hub.badFrames()).toEqual({});
    hub.clock.pass(1000);
    client.write(frame('42'));
    await client.waitFor('<ack user_id="42" state="1"/>');
  });
});
