/** PROTOCOL.md sections 4 and 7, through real sockets: who is welcomed, until when, and whom they may watch. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { Intake } from '../../server/intake.ts';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { SqliteRoster } from '../../server/storage/sqlite/sqlite-roster.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor, unsignedTokenFor, type TokenOptions } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN_TOKEN = 'an admin’s own token'.replaceAll(/[^a-z]/g, '-');
const asAdmin = { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } };

let hub: TestHub;
afterEach(() => hub.stop());

const start = async (settings: Partial<Config>, ...rest: [Parameters<typeof startTestHub>[1]?]): Promise<void> => {
  hub = await startTestHub({ adminToken: ADMIN_TOKEN, ...settings }, ...rest);
};
const jwt = { auth: 'jwt', jwtSecret: TEST_SECRET } as const;
const token = (user: string | null, options: TokenOptions = {}) => tokenFor(user, { clock: hub.clock, ...options });
const open = () => WsClient.open(hub.addresses.ws);
const hello = async (user: string, options: TokenOptions = {}) =>
  WsClient.hello(hub.addresses.ws, { user, token: await token(user, options) });
const observe = async (options: TokenOptions) =>
  WsClient.hello(hub.addresses.ws, { observe: true, token: await token('42', options) });
const asked = async (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(hub.addresses.http + path, { ...asAdmin, ...init });
const presenceOf = async (user: string) => (await (await asked(`/v1/presence/${user}`)).json()) as { status: string };
const befriend = (user: string, friend: string) => asked(`/v1/users/${user}/friends/${friend}`, { method: 'PUT' });
const beat = async (user: string, fields: object = {}) =>
  asked('/v1/heartbeat', { method: 'POST', body: JSON.stringify({ user, ...fields }) });
const metric = async (series: string) => {
  const line = (await (await asked('/metrics')).text()).split('\n').find((text) => text.startsWith(`${series} `));
  return Number(line?.split(' ').at(-1) ?? NaN);
};
const refused = (reason: string) => metric(`presence_hub_refused_total{reason="${reason}"}`);
const connections = () => metric('presence_hub_connections{adapter="ws-json"}');

onBothEngines('who is welcomed', (transport) => {
  beforeEach(() => start({ ...jwt, transport }));

  it('welcomes a user with its own valid token, and answers messages that came meanwhile in order (W6)', async () => {
    const client = await open();
    client.send({ type: 'hello', user: '42', token: await token('42'), id: 1 });
    client.send({ type: 'heartbeat', status: 'busy', id: 2 });
    client.send('nonsense');
    client.send({ type: 'watch', friendsOf: '42', id: 4 });
    client.send({ type: 'heartbeat', id: 5 });
    await client.next('ok', ({ re }) => re === 5);
    expect(client.all).toMatchObject([
      { type: 'welcome', re: 1, user: '42' },
      { type: 'ok', re: 2 },
      { type: 'error', code: 'bad_message' },
      { type: 'snapshot', re: 4 },
      { type: 'ok', re: 5 },
    ]);
    expect(await presenceOf('42')).toMatchObject({ status: 'busy' });
  });

  it.each<[string, () => string | undefined | Promise<string>]>([
    ['no token', () => undefined],
    ['an empty token', () => ''],
    ['no token at all but text', () => 'nonsense'],
    ['a token of another key', () => token('42', { secret: 'another secret, of 32 bytes or more too' })],
    ['a token that has run out', () => token('42', { expiresInS: -1 })],
    ['a token that needs no signature', () => unsignedTokenFor('42', ['admin'])],
    ['a token of 15,000 characters', () => 'x'.repeat(15_000)],
  ])('refuses %s with unauthenticated and 4401, and says nothing more (W6)', async (_, made) => {
    const client = await open();
    client.send({ type: 'hello', user: '42', token: await made(), id: 'h' });
    client.send({ type: 'watch', users: ['7'] });
    client.send({ type: 'heartbeat', id: 'after' });
    expect(await client.closed).toBe(4401);
    expect(client.all).toMatchObject([{ type: 'error', code: 'unauthenticated', re: 'h' }]);
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', v: 0 });
    expect(await refused('unauthenticated')).toBe(1);
  });

  it.each([
    ['a presence', {}],
    ['an observer', { observe: true }],
  ])('refuses %s with another user’s token with forbidden and 4403, whatever its scopes (W6)', async (_, kind) => {
    const client = await open();
    client.send({ type: 'hello', user: '7', token: await token('42', { scopes: ['observe', 'admin'] }), ...kind });
    client.send({ type: 'watch', users: ['42'], id: 'after' });
    expect(await client.closed).toBe(4403);
    expect(client.all).toMatchObject([{ type: 'error', code: 'forbidden' }]);
    expect(await presenceOf('7')).toMatchObject({ v: 0 });
    expect(await refused('forbidden')).toBe(1);
  });

  it('welcomes an observer with any good token, and does not let a static admin be a user (W9)', async () => {
    const observers = [
      { observe: true, token: await token('42') },
      { observe: true, token: await token(null, { scopes: ['observe'] }) },
      { observe: true, user: '42', self: true, token: await token('42') },
      { observe: true, token: ADMIN_TOKEN },
    ];
    for (const fields of observers) await WsClient.hello(hub.addresses.ws, fields);
    const admin = await open();
    admin.send({ type: 'hello', user: '42', token: ADMIN_TOKEN });
    expect(await admin.closed).toBe(4403);
  });

  it('closes for no bad form of hello, with or without a token', async () => {
    const client = await open();
    client.send({ type: 'hello', user: 'a b' });
    client.send({ type: 'hello', user: '42', token: 42 });
    client.send({ type: 'heartbeat' });
    await client.next('error', ({ code }) => code === 'hello_first');
    client.send({ type: 'hello', user: '42', token: await token('42') });
    await client.next('welcome');
    client.send({ type: 'hello', user: '42', token: 'x' });
    expect(await client.next('error')).toMatchObject({ code: 'bad_message' });
  });

  it('ends the session when its token expires, not earlier, with 4401 and the grace of an unclean end (W6)', async () => {
    await befriend('42', '7');
    const client = await hello('42', { expiresInS: 5 });
    client.send({ type: 'watch', users: ['7'] });
    await client.next('snapshot');
    hub.clock.pass(4_900);
    await hub.looked();
    await client.roundTrip();
    hub.clock.pass(150);
    await beat('7'); // a change in the very moment
    expect(await client.closed).toBe(4401);
    expect(client.all.at(-1)).toMatchObject({ type: 'error', code: 'unauthenticated' });
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(2_100);
    await hub.until(async () => (await presenceOf('42')).status === 'offline');
  });

  it('lets a fresh token of the same user take over, and counts from it (W15)', async () => {
    const client = await hello('42', { expiresInS: 5 });
    client.send({ type: 'token', token: await token('42', { expiresInS: 20 }), id: 't' });
    expect(await client.next('ok')).toMatchObject({ re: 't' });
    hub.clock.pass(19_000);
    await hub.looked();
    await client.roundTrip();
    client.send({ type: 'token', token: await token('42', { expiresInS: 2 }) });
    await client.roundTrip();
    hub.clock.pass(2_100);
    expect(await client.closed).toBe(4401);
  });

  it('ends a hello whose good token meets a fault of the hub with `internal` and 1013, and nothing else', async () => {
    const begin = vi.spyOn(Intake.prototype, 'begin').mockImplementation(() => {
      throw new Error('a bug');
    });
    const client = await open();
    client.send({ type: 'hello', user: '42', token: await token('42'), id: 1 });
    expect(await client.next('error')).toMatchObject({ code: 'internal', re: 1 });
    expect(await client.closed).toBe(1013);
    begin.mockRestore();
    await hello('42');
  });

  it('keeps the old token if the fresh one is bad or another user’s, until it expires (W15)', async () => {
    const client = await hello('42', { expiresInS: 5 });
    client.send({ type: 'token', token: 'nonsense', id: 'bad' });
    expect(await client.next('error')).toMatchObject({ code: 'unauthenticated', re: 'bad' });
    client.send({ type: 'token', token: await token('7'), id: 'other' });
    expect(await client.next('error')).toMatchObject({ code: 'forbidden', re: 'other' });
    hub.clock.pass(4_900);
    await hub.looked();
    await client.roundTrip();
    hub.clock.pass(150);
    expect(await client.closed).toBe(4401);
  });
});

describe('a token’s end and the clocks', () => {
  it('is found if the wall clock was stepped past it, and moves away if it was stepped back', async () => {
    await start(jwt);
    const stepped = await hello('42', { expiresInS: 10 });
    hub.clock.pass(100);
    await hub.looked();
    hub.clock.stepWall(-20_000);
    await hub.looked();
    hub.clock.pass(12_000);
    await stepped.roundTrip();
    hub.clock.pass(100);
    await hub.looked();
    await stepped.roundTrip();
    hub.clock.stepWall(20_000);
    await hub.looked();
    hub.clock.pass(100);
    expect(await stepped.closed).toBe(4401);
  });

  it('is found after a stall that the forward clock leaves out', async () => {
    let stallClock: StallClock | undefined;
    await start(jwt, (clock) => (stallClock = new StallClock(clock, () => undefined)));
    const client = await hello('42', { expiresInS: 30 });
    await hub.run(100);
    hub.clock.pass(60_000);
    stallClock?.tick();
    await hub.run(100);
    await hub.run(100); // found by the first look, ended by the one after it
    expect(await client.closed).toBe(4401);
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
  });
});

onBothEngines('whom a token lets watch', (transport) => {
  beforeEach(async () => {
    await start({ ...jwt, transport });
    await befriend('42', '7');
    await befriend('7', '9');
    await beat('9');
  });

  const watched = async (client: WsClient, fields: object): Promise<string> => {
    client.send({ type: 'watch', id: 'w', ...fields });
    while (client.all.at(-1)?.type === 'welcome') await client.waitForMessages(1);
    for (;;) {
      const answer = client.all.find((message) => 're' in message && message.re === 'w');
      if (answer !== undefined) {
        client.all.splice(client.all.indexOf(answer), 1);
        return answer.type === 'error' ? answer.code : answer.type;
      }
      await client.waitForMessages(1);
    }
  };

  it('itself and its friends, and nobody else (H21)', async () => {
    const client = await hello('42');
    expect(await watched(client, { friendsOf: '42' })).toBe('snapshot');
    expect(await watched(client, { users: ['7', '42'] })).toBe('snapshot');
    for (const refusedOnes of [{ friendsOf: '7' }, { friendsOf: 'nobody' }, { users: ['9'] }, { users: ['nobody'] }])
      expect(await watched(client, refusedOnes)).toBe('forbidden');
  });

  it('nobody of a list with a stranger in it: it is refused whole, and nothing changes (W12, H21)', async () => {
    const client = await hello('42');
    expect(await watched(client, { users: ['42'] })).toBe('snapshot');
    expect(await watched(client, { users: ['7', '9'] })).toBe('forbidden');
    await beat('7');
    await beat('42', { device: 'phone' });
    expect((await client.next('presence')).entries.map(({ user }) => user)).toEqual(['42']);
    expect(await refused('forbidden')).toBe(1);
  });

  it('says the same of a stranger whether it exists or not', async () => {
    const client = await hello('42');
    for (const id of ['9', 'nobody']) client.send({ type: 'watch', users: [id], id: 'w' });
    for (const id of ['9', 'nobody']) client.send({ type: 'watch', friendsOf: id, id: 'w' });
    const errors = [];
    for (let i = 0; i < 4; i++) errors.push(await client.next('error'));
    expect(errors[0]).toEqual(errors[1]);
    expect(errors[2]).toEqual(errors[3]);
  });

  it('anyone with observe, and with admin alone not (H21)', async () => {
    const observer = await observe({ scopes: ['observe'] });
    expect(await watched(observer, { users: ['9', 'nobody'] })).toBe('snapshot');
    expect(await watched(observer, { friendsOf: '7' })).toBe('snapshot');
    const admin = await WsClient.hello(hub.addresses.ws, { observe: true, token: ADMIN_TOKEN });
    expect(await watched(admin, { users: ['9'] })).toBe('forbidden');
    expect(await watched(admin, { friendsOf: '7' })).toBe('forbidden');
    const plain = await observe({});
    expect(await watched(plain, { users: ['9'] })).toBe('forbidden');
    expect(await watched(plain, { friendsOf: '42' })).toBe('snapshot');
  });

  it('ends what a fresh token no longer allows, and nothing else (W16, W31)', async () => {
    const client = await observe({ scopes: ['observe'] });
    client.send({ type: 'watch', users: ['9', '7'] });
    client.send({ type: 'watch', friendsOf: '7' });
    client.send({ type: 'watch', friendsOf: '42' });
    await client.roundTrip();
    client.send({ type: 'token', token: await token('42'), id: 't' });
    await client.next('ok', ({ re }) => re === 't');
    const ended = client.all.filter(({ type }) => type === 'unwatched');
    expect(ended).toEqual(
      expect.arrayContaining([
        { type: 'unwatched', friendsOf: '7' },
        { type: 'unwatched', users: ['9'] },
      ]),
    );
    expect(ended).toHaveLength(2);
    await beat('9', { text: 'secret' });
    await beat('7', { text: 'hello' });
    expect((await client.next('presence')).entries.map(({ user }) => user)).toEqual(['7']);
  });

  it('however many are watched, a fresh token and a list of ids ask storage for the whole list of friends, not for each id', async () => {
    const strangers = Array.from({ length: 3000 }, (_, n) => `s${n}`);
    const client = await observe({ scopes: ['observe'] });
    for (let from = 0; from < strangers.length; from += 1000)
      client.send({ type: 'watch', users: ['7', ...strangers.slice(from, from + 999)] });
    await client.roundTrip();
    const [one, whole] = [vi.spyOn(SqliteRoster.prototype, 'follows'), vi.spyOn(SqliteRoster.prototype, 'friendsOf')];
    client.send({ type: 'token', token: await token('42'), id: 't' });
    await client.next('ok', ({ re }) => re === 't');
    // Once for each thousand that end.
    expect([one.mock.calls.length, whole.mock.calls.length]).toEqual([0, 3]);
    const ended = client.all.flatMap((message) =>
      message.type === 'unwatched' && 'users' in message ? message.users : [],
    );
    expect([ended.length, ended.includes('7')]).toEqual([2997, false]);
    client.send({ type: 'watch', users: ['7', ...strangers.slice(0, 999)], id: 'w' });
    expect(await client.next('error')).toMatchObject({ code: 'forbidden', re: 'w' });
    expect([one.mock.calls.length, whole.mock.calls.length]).toEqual([0, 4]);
    const users = ['7', ...strangers.slice(0, 999)];
    const headers = { authorization: `Bearer ${await token('42')}` };
    const read = await asked('/v1/presence', { method: 'POST', body: JSON.stringify({ users }), headers });
    expect(read.status).toBe(403);
    expect([one.mock.calls.length, whole.mock.calls.length]).toEqual([0, 5]);
    vi.restoreAllMocks();
  });

  it('an admin’s watch of a friend ends with the friendship, whatever token comes later', async () => {
    const client = await observe({ scopes: ['admin'] });
    client.send({ type: 'watch', users: ['7'] });
    await client.next('snapshot');
    await asked('/v1/users/42/friends/7', { method: 'DELETE' });
    expect(await client.next('unwatched')).toMatchObject({ users: ['7'] });
    client.send({ type: 'token', token: await token('42'), id: 't' });
    await client.next('ok', ({ re }) => re === 't');
    await beat('7', { text: 'secret' });
    await client.roundTrip();
    expect(client.all.filter(({ type }) => type === 'presence')).toEqual([]);
  });

  it('one that is no admin any more receives again what it may see from then on (W16)', async () => {
    await beat('7');
    await asked('/v1/users/7/blocks/42', { method: 'PUT' });
    const client = await observe({ scopes: ['admin'] });
    client.send({ type: 'watch', users: ['7'] });
    expect((await client.next('snapshot')).entries).toMatchObject([{ user: '7', status: 'online' }]);
    client.send({ type: 'token', token: await token('42'), id: 't' });
    const anew = await client.next('snapshot');
    expect(anew).toMatchObject({ users: ['7'], entries: [{ user: '7', status: 'offline' }] });
    expect(anew.re).toBeUndefined();
  });

  it('a fresh token that storage can’t be asked about is answered `internal`, changes nothing, and ends nothing', async () => {
    const client = await observe({ scopes: ['observe'] });
    client.send({ type: 'watch', users: ['9'] });
    await client.next('snapshot');
    const follows = vi.spyOn(SqliteRoster.prototype, 'follows').mockImplementation(() => {
      throw new Error('disk I/O error');
    });
    client.send({ type: 'token', token: await token('42'), id: 'failed' });
    expect(await client.next('error')).toMatchObject({ code: 'internal', re: 'failed' });
    follows.mockRestore();
    await beat('9', { text: 'still watched' });
    expect((await client.next('presence')).entries).toMatchObject([{ user: '9' }]);
    client.send({ type: 'token', token: await token('42'), id: 'again' });
    expect(await client.next('unwatched')).toMatchObject({ users: ['9'] });
    await client.next('ok', ({ re }) => re === 'again');
  });
});

describe('open mode with an admin token', () => {
  beforeEach(() => start({}));

  it('welcomes without a token and with the admin’s, and refuses another one (W17)', async () => {
    await WsClient.hello(hub.addresses.ws, { user: '42' });
    const admin = await WsClient.hello(hub.addresses.ws, { user: '7', token: ADMIN_TOKEN });
    admin.send({ type: 'token', token: 'any', id: 't' });
    expect(await admin.next('ok')).toMatchObject({ re: 't' });
    const wrong = await open();
    wrong.send({ type: 'hello', user: '42', token: `${ADMIN_TOKEN}x` });
    expect(await wrong.closed).toBe(4401);
  });
});

describe('open mode without one', () => {
  it('asks for no token, and looks at none (W17)', async () => {
    await start({ adminToken: null });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42', token: 'whatever' });
    client.send({ type: 'watch', users: ['anyone'] });
    await client.next('snapshot');
  });
});

/** An issuer's keys, handed out when the test says so. */
class Issuer {
  readonly #server: Server;
  readonly keys: JWK[] = [];
  /** While it is set, requests wait for it. */
  hold: Promise<unknown> | undefined;
  status = 200;
  asked = 0;

  private constructor() {
    this.#server = createServer((_, response) => {
      this.asked++;
      void Promise.resolve(this.hold).then(() => {
        response.writeHead(this.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ keys: this.keys }));
      });
    });
  }

  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const newKey = async (kid: string): Promise<{ key: CryptoKey; jwk: JWK }> => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  return { key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
};

onBothEngines('a client whose token can’t be judged yet', (transport) => {
  /** Says hello, is asked to reconnect, and does so at the given time. */
  const comesBack = async (withToken: string, cause: string): Promise<number> => {
    for (let waitedMs = 0; waitedMs < 400_000;) {
      const client = await open();
      const received = client.waitForMessages(1);
      client.send({ type: 'hello', user: '42', token: withToken, id: 'h' });
      await received;
      const [first] = client.all;
      if (first?.type !== 'reconnect') return waitedMs;
      expect(await client.closed).toBe(1013);
      expect(client.all.at(-1)).toMatchObject({ type: 'error', code: 'unavailable', re: 'h' });
      expect(client.closeReason).toContain(cause);
      hub.clock.pass(first.afterMs);
      waitedMs += first.afterMs;
    }
    throw new Error('it was never welcomed');
  };

  it('because the keys were fetched just before a rotation is welcomed within 25 s of it', async () => {
    const issuer = await Issuer.start();
    try {
      const [before, after] = [await newKey('before'), await newKey('after')];
      const sign = ({ key }: typeof before, kid: string) =>
        new SignJWT({ sub: '42' }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);
      issuer.keys.push(before.jwk);
      await start({ auth: 'jwt', jwksUrl: issuer.url, transport });
      await WsClient.hello(hub.addresses.ws, { user: '42', token: await sign(before, 'before') });
      issuer.keys.splice(0, 1, after.jwk);
      const token = await sign(after, 'after');
      const overHttp = await asked('/v1/presence/42', { headers: { authorization: `Bearer ${token}` } });
      expect([overHttp.status, overHttp.headers.get('retry-after')]).toEqual([503, '10']);
      const waitedMs = await comesBack(token, 'keys that check the token can’t be fetched');
      expect(waitedMs).toBeGreaterThanOrEqual(10_000);
      expect(waitedMs).toBeLessThan(25_000);
      expect(issuer.asked).toBe(2);
      expect(await refused('unauthenticated')).toBe(0);
    } finally {
      issuer.stop();
    }
  });

  it('because it is not valid yet is welcomed within 25 s of the moment at which it becomes valid', async () => {
    await start({ ...jwt, transport });
    const early = await token('42', { notBeforeInS: 180 });
    const overHttp = await asked('/v1/presence/42', { headers: { authorization: `Bearer ${early}` } });
    expect([overHttp.status, overHttp.headers.get('retry-after')]).toEqual([503, '15']);
    expect(((await overHttp.json()) as { detail: string }).detail).toContain('not valid yet');
    const waitedMs = await comesBack(early, 'The token is not valid yet');
    expect(waitedMs).toBeGreaterThanOrEqual(175_000);
    expect(waitedMs).toBeLessThan(205_000);
  });

  it('when it is a fresh one keeps its connection', async () => {
    await start({ ...jwt, transport });
    const client = await hello('42', { expiresInS: 60 });
    client.send({ type: 'token', id: 't', token: await token('42', { notBeforeInS: 100 }) });
    expect(await client.next('error')).toMatchObject({ code: 'unavailable', re: 't' });
    await client.roundTrip();
  });
});

onBothEngines('while an issuer’s new key is waited for', (transport) => {
  let issuer: Issuer;
  let known: CryptoKey;
  let release: () => void;
  const signed = (user: string, key: CryptoKey, kid: string) =>
    new SignJWT({ sub: user }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);

  beforeEach(async () => {
    issuer = await Issuer.start();
    const { key, jwk } = await newKey('old');
    known = key;
    issuer.keys.push(jwk);
    await start({ auth: 'jwt', jwksUrl: issuer.url, transport });
    await WsClient.hello(hub.addresses.ws, { user: 'first', token: await signed('first', known, 'old') });
    hub.clock.pass(11_000); // keys may be asked for again
    issuer.hold = new Promise<void>((resolve) => (release = resolve));
  });
  afterEach(() => {
    release();
    issuer.stop();
  });

  const waiting = async (...messages: (object | string)[]) => {
    const { key, jwk } = await newKey('new');
    const client = await open();
    client.send({ type: 'hello', user: '42', token: await signed('42', key, 'new') });
    for (const message of messages) client.send(message);
    await hub.until(() => issuer.asked === 2);
    return { client, jwk };
  };

  it('nobody else is, and what came in between is answered in its order', async () => {
    const { client, jwk } = await waiting({ type: 'heartbeat', id: 1 }, { type: 'watch', friendsOf: '42', id: 2 });
    const other = await WsClient.hello(hub.addresses.ws, { user: '7', token: await signed('7', known, 'old') });
    await other.roundTrip();
    expect(client.all).toEqual([]);
    issuer.keys.push(jwk);
    release();
    await client.next('snapshot');
    expect(client.all.map(({ type }) => type)).toEqual(['welcome', 'ok', 'snapshot']);
  });

  it('a client that left comes to nothing', async () => {
    const { client, jwk } = await waiting();
    const before = await connections();
    client.cut();
    await hub.until(async () => (await connections()) === before - 1);
    issuer.keys.push(jwk);
    release();
    await hub.looked();
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', v: 0 });
    expect(await metric('presence_hub_sessions{adapter="ws-json"}')).toBe(1);
  });

  it('a client that can’t be judged is asked to reconnect: `unavailable`, `reconnect` and 1013 with the cause (W7)', async () => {
    const { client } = await waiting();
    issuer.status = 500;
    release();
    expect(await client.closed).toBe(1013);
    expect(client.all).toMatchObject([
      { type: 'reconnect', afterMs: expect.any(Number) as number },
      { type: 'error', code: 'unavailable' },
    ]);
    expect(client.closeReason).toContain('keys');
    expect(await refused('unavailable')).toBe(1);
  });

  it('the time for a hello goes on', async () => {
    const { client } = await waiting();
    hub.clock.pass(10_100);
    expect(await client.closed).toBe(1013);
  });

  it('a thousand messages wait, and are answered in their order', async () => {
    const ids = Array.from({ length: 1_000 }, (_, id) => id);
    const { client, jwk } = await waiting(...ids.map((id) => ({ type: 'heartbeat', id })));
    issuer.keys.push(jwk);
    release();
    await client.next('ok', ({ re }) => re === 999);
    expect(client.all.slice(1)).toEqual(ids.map((re) => ({ type: 'ok', re })));
  });

  it('more than 256 KiB wait in the socket, or end the connection if the engine can’t leave them there', async () => {
    const { client, jwk } = await waiting(...Array.from({ length: 18 }, () => 'x'.repeat(15_000)));
    if (transport === 'uws') {
      expect(await client.closed).toBe(4429);
      expect(client.all).toMatchObject([{ type: 'error', code: 'rate_limited' }]);
      return;
    }
    issuer.keys.push(jwk);
    release();
    for (let bad = 0; bad < 5; bad++) expect(await client.next('error')).toMatchObject({ code: 'bad_message' });
  });

  it('a connection that renews its token goes on, and what comes after one more token waits, but for heartbeats', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42', token: await signed('42', known, 'old') });
    const { key, jwk } = await newKey('new');
    client.send({ type: 'token', token: await signed('42', key, 'new'), id: 'first' });
    await client.roundTrip();
    client.send({ type: 'token', token: 'nonsense', id: 'second' });
    client.send({ type: 'unwatch', users: ['7'], id: 'third' });
    client.send({ type: 'heartbeat', id: 'fourth' });
    expect(await client.next('ok')).toMatchObject({ re: 'fourth' });
    await hub.until(() => issuer.asked === 2);
    await hub.looked();
    expect(client.all).toHaveLength(3);
    issuer.keys.push(jwk);
    release();
    expect(await client.next('ok')).toMatchObject({ re: 'first' });
    expect(await client.next('unwatched')).toMatchObject({ re: 'third' });
    await hub.until(() => client.all.some(({ type }) => type === 'error'));
    expect(client.all.find(({ type }) => type === 'error')).toMatchObject({ code: 'unauthenticated', re: 'second' });
  });
});
