/** Two hubs on one Redis: a client notices nothing of which hub another one is connected to (PROTOCOL.md section 8). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { endHubProcesses } from '../../support/hub-process.ts';
import { ask, ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

interface Counts {
  readonly busy: number;
  readonly sessions: Readonly<Record<string, number>>;
}

let lastUser = 0;
/** Users of their own for each test. */
function newUser(): string {
  return `user-${++lastUser}`;
}

describe.each(transports)('two hubs on %s', needing('redis-server'), (engine) => {
  let stage: ClusterStage;
  let [a, b]: ClusterHub[] = [];
  const clients: WsClient[] = [];
  const seen = new Map<string, string>();

  beforeAll(async () => {
    stage = await ClusterStage.start({ HUB_TRANSPORT: engine });
    [a, b] = await stage.hubs(2);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  afterAll(async () => {
    await endHubProcesses();
    await stage.stop();
  });

  const hello = async (hub: ClusterHub | undefined, fields: object): Promise<WsClient> => {
    const client = await WsClient.hello(hub!.ws, fields);
    clients.push(client);
    return client;
  };
  const observe = async (hub: ClusterHub | undefined, ...users: string[]): Promise<Observer> => {
    const observer = await Observer.open(hub!.ws, users, seen);
    clients.push(observer.client);
    return observer;
  };

  it('a watch on one shows users that were welcomed on the other before (C5)', async () => {
    const user = newUser();
    await hello(a, { user, status: 'busy', text: 'in a meeting' });
    const observer = await observe(b, user);
    expect(observer.view.get(user)).toMatchObject({ status: 'busy', text: 'in a meeting', devices: ['web'] });
    expect((await ask(b!, 'GET', `/v1/presence/${user}`)).body).toEqual(observer.view.get(user));
    expect((await ask(a!, 'GET', `/v1/presence/${user}`)).body).toEqual(observer.view.get(user));
  });

  it('changes on one are reported on the other, with equal versions (C1)', async () => {
    const user = newUser();
    const observers = [await observe(a, user), await observe(b, user)];
    const client = await hello(a, { user });
    client.send({ type: 'heartbeat', status: 'away', id: 1 });
    await client.next('ok');
    client.send({ type: 'bye' });
    const isOver = (one: Observer): boolean => one.history.get(user)!.length > 1 && one.statusOf(user) === 'offline';
    await Promise.all(observers.map((one) => one.until(() => isOver(one))));
    expect(observers.flatMap(({ faults }) => faults)).toEqual([]);
    expect(observers[0]!.view).toEqual(observers[1]!.view);
  });

  it('the fold covers the sessions of both (C3)', async () => {
    const user = newUser();
    const observer = await observe(b, user);
    const onA = await hello(a, { user, device: 'web', status: 'away' });
    const onB = await hello(b, { user, device: 'phone', status: 'busy', self: true });
    expect(await onB.next('self')).toMatchObject({ status: 'busy', devices: ['phone', 'web'] });
    onB.send({ type: 'bye' });
    await observer.until(() => observer.view.get(user)?.devices.length === 1 && observer.statusOf(user) === 'away');
    onA.send({ type: 'bye' });
    await observer.until(() => observer.statusOf(user) === 'offline');
  });

  it('a reload that reaches the other hub does not show the user offline (C3)', async () => {
    const user = newUser();
    const observer = await observe(b, user);
    const before = await hello(a, { user });
    before.cut();
    const after = await hello(b, { user });
    await new Promise((resolve) => setTimeout(resolve, 2500)); // longer than the grace
    expect(observer.history.get(user)).toEqual(['offline', 'online']);
    after.send({ type: 'bye' });
    await observer.until(() => observer.statusOf(user) === 'offline');
  });

  it('the newest HTTP heartbeat of a user and device counts, on any hub (C4, C6)', async () => {
    const user = newUser();
    const observer = await observe(a, user);
    const statuses = ['online', 'busy', 'away', 'online', 'busy'];
    for (const [i, status] of statuses.entries()) {
      const hub = i % 2 === 0 ? a : b;
      const answer = await ask(hub!, 'POST', '/v1/heartbeat', { user, status });
      expect(answer.body).toMatchObject({ entry: { status, devices: ['http'] } });
      expect((await ask(b!, 'GET', `/v1/presence/${user}`)).body).toMatchObject({ status });
    }
    await ask(b!, 'POST', '/v1/heartbeat', { user, status: 'offline' });
    expect((await ask(a!, 'GET', `/v1/presence/${user}`)).body).toMatchObject({ status: 'offline' });
    await observer.until(() => observer.statusOf(user) === 'offline');
    // Changes within 50 ms are reported as the last of them, but none of them was offline.
    expect(observer.history.get(user)!.slice(1, -1)).not.toContain('offline');
  });

  it('a bye over HTTP ends the session on another hub (C4)', async () => {
    const user = newUser();
    const observer = await observe(a, user);
    await ask(a!, 'POST', '/v1/heartbeat', { user });
    await ask(b!, 'POST', '/v1/heartbeat', { user, status: 'offline' });
    await observer.until(() => observer.statusOf(user) === 'offline');
    expect((await ask(a!, 'GET', `/v1/users/${user}/explain`)).body).toMatchObject({ sessions: [] });
  });

  it('a `since` of one hub is answered by the other with newer changes (C2)', async () => {
    const [present, later] = [newUser(), newUser()];
    await hello(a, { user: present });
    const first = await observe(a, present, later);
    while (first.at < first.view.get(present)!.v) {
      first.client.send({ type: 'watch', users: [present, later] });
      await first.client.next('snapshot');
    }
    await hello(b, { user: later });
    const resumed = await hello(b, { observe: true });
    resumed.send({ type: 'watch', users: [present, later], since: first.at });
    const snapshot = await resumed.next('snapshot');
    expect(snapshot.since).toBe(first.at);
    expect(snapshot.entries.map(({ user }) => user)).toEqual([later]);
  });

  it('an invisible user on one looks offline on the other', async () => {
    const [hidden, gone] = [newUser(), newUser()];
    const observer = await observe(b, hidden, gone);
    const hiding = await hello(a, { user: hidden });
    const leaving = await hello(a, { user: gone });
    await observer.until(() => observer.statusOf(hidden) === 'online' && observer.statusOf(gone) === 'online');
    hiding.send({ type: 'heartbeat', status: 'invisible' });
    leaving.send({ type: 'bye' });
    await observer.until(() => observer.statusOf(hidden) === 'offline' && observer.statusOf(gone) === 'offline');
    const keysOf = (user: string): string[] => Object.keys(observer.view.get(user)!);
    expect(keysOf(hidden)).toEqual(keysOf(gone));
    expect((await ask(b!, 'GET', `/v1/presence/${hidden}`)).body).toEqual(observer.view.get(hidden));
  });

  it('a block on one hides the user from its viewer on the other before it is answered, and lifting it shows the user (C7)', async () => {
    const [blocker, viewer, other] = [newUser(), newUser(), newUser()];
    const session = await hello(a, { user: blocker });
    const watching = await hello(b, { user: viewer });
    watching.send({ type: 'watch', users: [blocker] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'online' });
    const observer = await observe(b, blocker, other);
    expect(await ask(a!, 'PUT', `/v1/users/${blocker}/blocks/${viewer}`)).toMatchObject({ status: 204 });
    const hidden = await watching.entryOf(blocker);
    expect(hidden).toMatchObject({ status: 'offline', devices: [] });
    const received = watching.all.length;
    session.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await session.next('ok');
    await observer.until(() => observer.statusOf(blocker) === 'busy');
    await watching.roundTrip();
    expect(watching.all.slice(received).filter(({ type }) => type === 'presence')).toEqual([]);
    expect(await ask(b!, 'DELETE', `/v1/users/${blocker}/blocks/${viewer}`)).toMatchObject({ status: 204 });
    const shown = await watching.entryOf(blocker);
    expect(shown.status).toBe('busy');
    expect(shown.v).toBeGreaterThan(hidden.v);
  });

  it('a block applies on a hub that loads the user later', async () => {
    const [blocker, viewer] = [newUser(), newUser()];
    await hello(a, { user: blocker });
    await ask(a!, 'PUT', `/v1/users/${blocker}/blocks/${viewer}`);
    const watching = await hello(b, { user: viewer });
    watching.send({ type: 'watch', users: [blocker] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'offline' });
  });

  it('a block that another hub has lifted does not come back (C7)', async () => {
    const [blocker, viewer] = [newUser(), newUser()];
    const session = await hello(a, { user: blocker });
    const path = `/v1/users/${blocker}/blocks/${viewer}`;
    for (const [hub, method] of [
      [a, 'PUT'],
      [a, 'PUT'],
      [b, 'DELETE'],
    ] as const) {
      expect(await ask(hub!, method, path)).toMatchObject({ status: 204 });
    }
    const watching = await hello(b, { user: viewer });
    watching.send({ type: 'watch', users: [blocker] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'online' });
    session.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await session.next('ok');
    expect(await watching.entryOf(blocker)).toMatchObject({ status: 'busy' });
  });

  it('lifting a block that does not exist is answered at once, and undoes no later block on another hub (C7)', async () => {
    const [blocker, viewer] = [newUser(), newUser()];
    const path = `/v1/users/${blocker}/blocks/${viewer}`;
    expect(await ask(a!, 'DELETE', path)).toMatchObject({ status: 204 });
    const session = await hello(a, { user: blocker });
    expect(await ask(a!, 'DELETE', path)).toMatchObject({ status: 204 });
    expect(await ask(b!, 'PUT', path)).toMatchObject({ status: 204 });
    session.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await session.next('ok');
    const watching = await hello(b, { user: viewer });
    watching.send({ type: 'watch', users: [blocker] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'offline' });
  });

  it('explain, kick and the tail work on the hub that does not have the session (C8)', async () => {
    const user = newUser();
    const tailing = await hello(b, { observe: true });
    tailing.send({ type: 'tail', match: user, id: 1 });
    await tailing.next('ok');
    const onA = await hello(a, { user, device: 'desk' });
    await hello(b, { user, device: 'phone', status: 'away' });
    const tail = await tailing.next('tail', ({ changes }) => changes[0]?.from === 'offline');
    expect(tail.changes[0]).toMatchObject({ cause: 'came', entry: { user, status: 'online', devices: ['desk'] } });
    const explained = (await ask(b!, 'GET', `/v1/users/${user}/explain`)).body as {
      sessions: { id: string; device: string; decides: boolean }[];
      decision: { status: string };
      transitions: unknown[];
    };
    expect(explained.sessions.map(({ device, decides }) => [device, decides])).toEqual([
      ['desk', true],
      ['phone', false],
    ]);
    expect(explained.decision.status).toBe('online');
    expect(explained.transitions).toHaveLength(2);
    const { id } = explained.sessions[0]!;
    expect(await ask(b!, 'DELETE', `/v1/users/${user}/sessions/${id}`)).toMatchObject({ status: 204 });
    expect(await onA.closed).toBe(4403);
    expect(await ask(b!, 'DELETE', `/v1/users/${user}/sessions/${id}`)).toMatchObject({ status: 404 });
  });

  it('the list and the counts cover the users of both, each once (C8)', async () => {
    const prefix = `listed-${engine}-`;
    const [onA, onB, onBoth] = ['1', '2', '3'].map((name) => prefix + name);
    const before = (await ask(a!, 'GET', '/v1/counts')).body as Counts;
    await hello(a, { user: onA });
    await hello(b, { user: onB, status: 'busy' });
    await hello(a, { user: onBoth, device: 'web' });
    await hello(b, { user: onBoth, device: 'phone' });
    for (const hub of [a, b]) {
      const listed: string[] = [];
      for (let after: string | null = ''; after !== null;) {
        const path = `/v1/presence?limit=1&prefix=${prefix}${after === '' ? '' : `&after=${after}`}`;
        const page = (await ask(hub!, 'GET', path)).body as { entries: { user: string }[]; next: string | null };
        listed.push(...page.entries.map(({ user }) => user));
        after = page.next;
      }
      expect(listed).toEqual([onA, onB, onBoth]);
      const counts = (await ask(hub!, 'GET', '/v1/counts')).body as Counts;
      // Users of earlier tests may still be in their grace.
      expect(counts.busy).toBe(before.busy + 1);
      expect(counts.sessions['ws-json']).toBeGreaterThanOrEqual(4);
    }
  });

  it('metrics count the nodes, and measure the delay between them', async () => {
    await hello(a, { user: newUser() });
    const metrics = await (await fetch(`${b!.http}/metrics`)).text();
    expect(metrics).toContain('presence_hub_nodes{state="live"} 2');
    expect(metrics).toContain('presence_hub_engine_up 1');
    expect(metrics).toMatch(/presence_hub_bus_seconds_count [1-9]/);
  });

  it('last seen is the time of the bye on all hubs', async () => {
    const user = newUser();
    const client = await hello(a, { user });
    const leftAt = Date.now();
    client.send({ type: 'bye' });
    await client.closed;
    const observer = await observe(b, user);
    await observer.until(() => observer.view.get(user)?.lastSeen !== null && observer.statusOf(user) === 'offline');
    expect(observer.view.get(user)!.lastSeen! - leftAt).toBeGreaterThanOrEqual(-5);
  });
});
