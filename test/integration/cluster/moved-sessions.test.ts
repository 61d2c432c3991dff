/**
 * Sessions that continue on another hub. Over HTTP, a user and a device are one session, whichever hub a heartbeat reaches
 * (PROTOCOL.md H6 and C4).
 */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask, ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';

const MAX_SESSIONS = 2;
const TTL_MS = 60_000;
const GRACE_MS = 15_000;

let lastUser = 0;
/** Users of their own for each test. */
function newUser(): string {
  return `user-${++lastUser}`;
}

interface Beaten {
  readonly status: number;
  readonly body: { readonly entry: Readonly<Record<string, unknown>> };
}

describe('a session that continues on another hub', needing('redis-server'), () => {
  let stage: ClusterStage;
  let [a, b, c]: ClusterHub[] = [];
  const clients: WsClient[] = [];

  beforeAll(async () => {
    stage = await ClusterStage.start({ HUB_MAX_SESSIONS: String(MAX_SESSIONS), HUB_GRACE_MS: String(GRACE_MS) });
    [a, c] = await stage.hubs(2);
    b = await stage.hub({ HUB_TCP_PORT: String(await freePort()) });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  afterAll(async () => {
    await endHubProcesses();
    await stage.stop();
  });

  const beat = async (hub: ClusterHub | undefined, user: string, fields: object = {}): Promise<Beaten> =>
    (await ask(hub!, 'POST', '/v1/heartbeat', { user, device: 'cron', ttlMs: TTL_MS, ...fields })) as Beaten;
  const hello = async (hub: ClusterHub | undefined, fields: object): Promise<WsClient> => {
    const client = await WsClient.hello(hub!.ws, fields);
    clients.push(client);
    return client;
  };

  const untilGraceOn = async (hub: ClusterHub | undefined, user: string): Promise<void> => {
    const states = async (): Promise<unknown> => (await ask(hub!, 'GET', `/v1/users/${user}/explain`)).body;
    await expect.poll(states).toMatchObject({ sessions: [{ state: 'grace' }] });
  };

  it('keeps status and text if a heartbeat over HTTP says neither (H6, C4)', async () => {
    const user = newUser();
    await beat(a, user, { status: 'busy', text: 'at work' });
    for (const hub of [b, c, a, b]) {
      expect((await beat(hub, user)).body.entry).toMatchObject({ status: 'busy', text: 'at work', devices: ['cron'] });
    }
    expect((await beat(c, user, { status: 'away' })).body.entry).toMatchObject({ status: 'away', text: 'at work' });
    expect((await beat(a, user, { text: '' })).body.entry).toMatchObject({ status: 'away' });
    const { entry } = (await beat(b, user)).body;
    expect([entry['status'], entry['text']]).toEqual(['away', undefined]);
    // What has ended stands no longer.
    await beat(c, user, { status: 'offline' });
    expect((await beat(a, user)).body.entry).toMatchObject({ status: 'online' });
  });

  it('stays invisible if a heartbeat over HTTP says no status (H6, I14)', async () => {
    const user = newUser();
    await hello(a, { user });
    await beat(a, user, { status: 'invisible' });
    const watching = await hello(c, { observe: true });
    watching.send({ type: 'watch', users: [user] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'offline' });
    for (const hub of [b, c, a]) await beat(hub, user);
    expect((await ask(b!, 'GET', `/v1/presence/${user}`)).body).toMatchObject({ status: 'offline' });
    await watching.roundTrip();
    expect(watching.all.filter(({ type }) => type === 'presence')).toEqual([]);
  });

  it('sets nothing by a repetition over HTTP, so that a text set later stays (I7, C4)', async () => {
    const user = newUser();
    await beat(a, user, { status: 'busy', text: 'at work' });
    const page = await hello(c, { user, status: 'online' });
    page.send({ type: 'heartbeat', text: 'on the phone', id: 1 });
    await page.next('ok');
    for (const fields of [{ status: 'busy', text: 'at work' }, {}]) {
      expect((await beat(b, user, fields)).body.entry).toMatchObject({ status: 'busy', text: 'on the phone' });
      expect((await beat(a, user, fields)).body.entry).toMatchObject({ status: 'busy', text: 'on the phone' });
    }
    expect((await beat(b, user, { text: 'at lunch' })).body.entry).toMatchObject({ text: 'at lunch' });
  });

  it('is not refused if its user has as many sessions as the hub allows (C9)', async () => {
    const user = newUser();
    await hello(b, { user });
    await beat(a, user);
    expect((await ask(b!, 'GET', `/v1/users/${user}/explain`)).body).toMatchObject({ sessions: { length: 2 } });
    expect(await beat(b, user)).toMatchObject({ status: 200 });
    const refused = await WsClient.open(a!.ws);
    clients.push(refused);
    refused.send({ type: 'hello', user, device: 'another' });
    expect((await refused.next('error')).code).toBe('too_many');
    expect(await beat(a, user, { device: 'another' })).toMatchObject({ status: 429 });
    // A reload.
    for (const client of clients.splice(0)) client.cut();
    const after = await hello(a, { user, self: true });
    expect(await after.next('self')).toMatchObject({ devices: ['cron', 'web'] });
  });

  it('ends at once by a goodbye over HTTP or TCP to another hub while it is in its grace (L5, C4)', async () => {
    const user = newUser();
    const watching = await hello(c, { observe: true });
    watching.send({ type: 'watch', users: [user] });
    await watching.next('snapshot');
    for (const goodbye of ['HTTP', 'TCP']) {
      const page = await hello(a, { user, device: 'legacy' });
      expect(await watching.entryOf(user)).toMatchObject({ status: 'online' });
      page.cut();
      await untilGraceOn(a, user);
      const saidAt = performance.now();
      if (goodbye === 'HTTP') {
        const { body } = await beat(b, user, { device: 'legacy', status: 'offline' });
        expect(body.entry).toMatchObject({ status: 'offline' });
      } else {
        const wire = connect(b!.tcpPort, '127.0.0.1');
        wire.end(`<protocol><user_id>${user}</user_id><user_state>0</user_state></protocol>`);
      }
      expect(await watching.entryOf(user)).toMatchObject({ status: 'offline' });
      expect(performance.now() - saidAt).toBeLessThan(GRACE_MS / 2);
    }
  });

  it('keeps status and text if its hub died and a heartbeat over HTTP says neither (H6, C10)', async () => {
    const user = newUser();
    await beat(c, user, { status: 'busy', text: 'at work' });
    c!.process.child.kill('SIGKILL');
    await c!.process.exited;
    expect((await beat(a, user)).body.entry).toMatchObject({ status: 'busy', text: 'at work' });
  });
});
