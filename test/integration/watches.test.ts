/** PROTOCOL.md section 4, through real sockets: watches, snapshots, changes, friend lists, and what was missed. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('watches', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
  });
  afterEach(() => hub.stop());

  const observe = () => WsClient.hello(hub.addresses.ws, { observe: true });
  const befriend = (user: string, friend: string, query = '') =>
    hub.request('PUT', `/v1/users/${user}/friends/${friend}${query}`);
  const unfriend = (user: string, friend: string) => hub.request('DELETE', `/v1/users/${user}/friends/${friend}`);
  const beat = (user: string, fields: object = {}) => hub.request('POST', '/v1/heartbeat', { user, ...fields });
  /** Everything sent about a user, as versions, snapshots included. */
  const versionsOf = (client: WsClient, user: string) =>
    client.all.flatMap((message) => {
      if (message.type === 'friend')
        return message.op === 'add' && message.entry.user === user ? [message.entry.v] : [];
      if (message.type !== 'presence' && message.type !== 'snapshot') return [];
      return message.entries.filter((entry) => entry.user === user).map((entry) => entry.v);
    });

  it('answers a watch of ids with one entry for each, duplicates once, offline ones included (W26)', async () => {
    await beat('7');
    const client = await observe();
    client.send({ type: 'watch', users: ['9', '7', '9'], id: 'w' });
    const snapshot = await client.next('snapshot');
    expect(snapshot).toMatchObject({ re: 'w', users: ['9', '7'] });
    expect(snapshot).not.toHaveProperty('since');
    expect(snapshot.entries.map(({ user, status }) => [user, status])).toEqual([
      ['9', 'offline'],
      ['7', 'online'],
    ]);
    expect(snapshot.entries[0]).toMatchObject({ v: 0, since: null, lastSeen: null, code: -1, devices: [] });
  });

  it.each([
    ['an empty list', { users: [] }, 'users'],
    ['no list at all', {}, 'users'],
    ['users and friendsOf together', { users: ['7'], friendsOf: '42' }, 'users'],
    ['1001 users', { users: Array.from({ length: 1001 }, (_, i) => String(i)) }, 'users'],
    ['a bad id in the list', { users: ['7', 'a b'] }, 'users'],
    ['a bad friendsOf', { friendsOf: '' }, 'friendsOf'],
    ['a since of text', { users: ['7'], since: 'now' }, 'since'],
  ])('refuses %s, for watch and for unwatch (W12)', async (_, fields, field) => {
    const client = await observe();
    client.send({ type: 'watch', ...fields });
    expect((await client.next('error')).message).toContain(field);
    if ('since' in fields) return;
    client.send({ type: 'unwatch', ...fields });
    expect(await client.next('error')).toMatchObject({ code: 'bad_message' });
  });

  it('takes 1000 users in one message, and adds those of the next (W11)', async () => {
    const client = await observe();
    client.send({ type: 'watch', users: Array.from({ length: 1000 }, (_, i) => `u${i}`) });
    expect((await client.next('snapshot')).entries).toHaveLength(1000);
    client.send({ type: 'watch', users: ['more'] });
    expect((await client.next('snapshot')).entries).toHaveLength(1);
    await beat('u999');
    expect(await client.entryOf('u999')).toMatchObject({ status: 'online' });
    await beat('more');
    expect(await client.entryOf('more')).toMatchObject({ status: 'online' });
  });

  it('counts the duplicates of a list once, here and over HTTP (W12)', async () => {
    const client = await observe();
    const users = Array.from({ length: 1200 }, (_, i) => `u${i % 600}`);
    client.send({ type: 'watch', users });
    expect((await client.next('snapshot')).entries).toHaveLength(600);
    client.send({ type: 'unwatch', users });
    expect(await client.next('unwatched')).toMatchObject({ users: users.slice(0, 600) });
    const { body } = await hub.request('POST', '/v1/presence', { users });
    expect((body as { entries: unknown[] }).entries).toHaveLength(600);
  });

  it('reports a change when, and only when, status, code, devices or text changed (I21)', async () => {
    const client = await observe();
    client.send({ type: 'watch', users: ['7', 'marker'] });
    await client.next('snapshot');
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.beat('7');
    await client.entryOf('7');
    for (let i = 0; i < 20; i++) legacy.beat('7', 1);
    await hub.until(async () => (await hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}')) === 21);
    await beat('7', { device: 'legacy' });
    await beat('marker');
    await client.entryOf('marker');
    expect(versionsOf(client, '7')).toHaveLength(2);
    legacy.beat('7', 5);
    expect(await client.entryOf('7')).toMatchObject({ status: 'online', code: 5 });
    await beat('7', { device: 'cron' });
    expect(await client.entryOf('7')).toMatchObject({ devices: ['cron', 'legacy'] });
    await beat('7', { device: 'cron', text: 'x' });
    expect(await client.entryOf('7')).toMatchObject({ text: 'x' });
  });

  it('reports a change to overlapping watches once (W37)', async () => {
    await befriend('42', '7');
    await befriend('43', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    client.send({ type: 'watch', friendsOf: '43' });
    client.send({ type: 'watch', users: ['7', 'marker'] });
    await client.next('snapshot', (snapshot) => 'users' in snapshot);
    await beat('7');
    await client.entryOf('7');
    await beat('marker');
    await client.entryOf('marker');
    expect(client.all.filter((m) => m.type === 'presence' && m.entries.some(({ user }) => user === '7'))).toHaveLength(
      1,
    );
  });

  it('follows the friend list as it changes: add with an entry, remove with the user (W11)', async () => {
    await befriend('42', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    expect((await client.next('snapshot')).entries.map(({ user }) => user)).toEqual(['7']);
    await beat('9');
    await befriend('42', '9');
    expect(await client.next('friend')).toMatchObject({
      friendsOf: '42',
      op: 'add',
      entry: { user: '9', status: 'online' },
    });
    await befriend('42', '9');
    await unfriend('42', '7');
    expect(await client.next('friend')).toMatchObject({ friendsOf: '42', op: 'remove', user: '7' });
    await beat('7');
    await beat('9', { text: 'still a friend' });
    await client.entryOf('9');
    expect(versionsOf(client, '7')).toEqual([0]);
  });

  it('continues to report a former friend if another watch covers it', async () => {
    await befriend('42', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    client.send({ type: 'watch', users: ['7'] });
    await client.next('snapshot', (snapshot) => 'users' in snapshot);
    await unfriend('42', '7');
    await client.next('friend');
    await beat('7');
    expect(await client.entryOf('7')).toMatchObject({ status: 'online' });
    client.send({ type: 'unwatch', users: ['7', '8'], id: 'u' });
    expect(await client.next('unwatched')).toEqual({ type: 'unwatched', re: 'u', users: ['7', '8'] });
    await beat('7', { text: 'nobody listens' });
    await client.roundTrip();
    expect(versionsOf(client, '7')).toHaveLength(3);
  });

  it('ends a watch of friends with unwatch, and says nothing more of them (W31)', async () => {
    await befriend('42', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    client.send({ type: 'unwatch', friendsOf: '42', id: 1 });
    expect(await client.next('unwatched')).toEqual({ type: 'unwatched', re: 1, friendsOf: '42' });
    await beat('7');
    await befriend('42', '9');
    await client.roundTrip();
    expect(client.all.filter(({ type }) => type === 'presence' || type === 'friend')).toEqual([]);
  });

  it('answers a second watch of the same friends with a new snapshot, and still reports once (W12)', async () => {
    await befriend('42', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    client.send({ type: 'watch', friendsOf: '42' });
    await client.next('snapshot');
    await client.next('snapshot');
    await beat('7');
    await client.entryOf('7');
    client.send({ type: 'unwatch', friendsOf: '42' });
    await client.next('unwatched');
    await beat('7', { text: 'x' });
    await client.roundTrip();
    expect(versionsOf(client, '7')).toHaveLength(3);
  });

  it('lets oneway follow one way only', async () => {
    await befriend('42', '7', '?oneway=true');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '7' });
    expect((await client.next('snapshot')).entries).toEqual([]);
    client.send({ type: 'watch', friendsOf: '42' });
    expect((await client.next('snapshot')).entries.map(({ user }) => user)).toEqual(['7']);
  });

  it('shows a joining watcher of a user who changes 500 times a second growing versions, none twice, the last one right (W41)', async () => {
    const busy = await WsClient.hello(hub.addresses.ws, { user: '7' });
    const clients: WsClient[] = [];
    for (let i = 0; i < 500; i++) {
      busy.send({ type: 'heartbeat', text: `change ${i}` });
      if (i % 50 === 0) {
        const client = await observe();
        client.send({ type: 'watch', users: ['7'] });
        clients.push(client);
      }
      if (i % 5 === 0) await busy.roundTrip();
      hub.clock.pass(2);
    }
    busy.send({ type: 'heartbeat', text: 'the last' });
    for (const client of clients) {
      await client.next('presence', ({ entries }) => entries[0]?.text === 'the last');
      const versions = versionsOf(client, '7');
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    }
  });

  it('sends only what was missed, with since: changes, the added and the removed (W13, W27)', async () => {
    for (const friend of ['7', '8', '9']) await befriend('42', friend);
    await beat('7');
    hub.clock.pass(1);
    const before = await observe();
    before.send({ type: 'watch', friendsOf: '42' });
    const { at } = await before.next('snapshot');
    before.cut();
    hub.clock.pass(50);
    await beat('8', { status: 'busy' });
    await unfriend('42', '9');
    await befriend('42', '10');
    const after = await observe();
    after.send({ type: 'watch', friendsOf: '42', since: at });
    const snapshot = await after.next('snapshot');
    expect(snapshot).toMatchObject({ since: at, removed: ['9'] });
    expect(snapshot.entries.map(({ user }) => user).sort()).toEqual(['10', '8']);
    expect(snapshot.at).toBeGreaterThan(at);
    after.send({ type: 'watch', users: ['7', '8'], since: at });
    const ofUsers = await after.next('snapshot');
    expect(ofUsers).toMatchObject({ since: at });
    expect(ofUsers.entries.map(({ user }) => user)).toEqual(['8']);
  });

  it('sends a full snapshot without since if it can’t be certain: from before the store, or ahead of its clock (W28)', async () => {
    await befriend('42', '7');
    const client = await observe();
    const born = hub.clock.wallMs;
    for (const since of [0, born - 1_000, born + 60_000]) {
      client.send({ type: 'watch', friendsOf: '42', since });
      const snapshot = await client.next('snapshot');
      expect(snapshot).not.toHaveProperty('since');
      expect(snapshot.entries).toHaveLength(1);
    }
  });

  it('takes the at of a presence message as since for any watch of the connection (W29)', async () => {
    await befriend('42', '7');
    const client = await observe();
    client.send({ type: 'watch', friendsOf: '42' });
    await client.next('snapshot');
    await beat('7');
    const { at } = await client.next('presence');
    hub.clock.pass(10);
    await beat('7', { text: 'missed' });
    const again = await observe();
    again.send({ type: 'watch', friendsOf: '42', since: at });
    expect((await again.next('snapshot')).entries).toMatchObject([{ user: '7', text: 'missed' }]);
  });

  it(
    'keeps a slow reader’s memory at whom it watches, and gives it the last word when it reads again',
    { timeout: 60_000 },
    async () => {
      const users = Array.from({ length: 200 }, (_, i) => `u${i}`);
      const slow = await observe();
      slow.send({ type: 'watch', users });
      await slow.next('snapshot');
      const quick = await observe();
      quick.send({ type: 'watch', users: ['u0'] });
      await quick.next('snapshot');
      slow.pause();
      const busy = await Promise.all(users.map((user) => WsClient.hello(hub.addresses.ws, { user })));
      const long = 'x'.repeat(120);
      for (let round = 0; round < 120; round++) {
        for (const client of busy) client.send({ type: 'heartbeat', text: `${long} ${round}` });
        await Promise.all(busy.map((client) => client.roundTrip()));
      }
      await quick.next('presence', ({ entries }) => entries[0]?.text === `${long} 119`);
      slow.resume();
      const last = new Map<string, string | undefined>();
      // What it missed comes as a new snapshot, or as the latest of whom it missed one change.
      let read = 0;
      while (![...users].every((user) => last.get(user) === `${long} 119`)) {
        if (read === slow.all.length) await slow.waitForMessages(1);
        const message = slow.all[read++]!;
        if (message.type !== 'presence' && message.type !== 'snapshot') continue;
        for (const entry of message.entries) last.set(entry.user, entry.text);
      }
      for (const user of users.slice(0, 5)) {
        const versions = versionsOf(slow, user);
        expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
      }
      // Without coalescing it would have had every change.
      expect(slow.all.length).toBeLessThan(120 * 200);
    },
  );
});
