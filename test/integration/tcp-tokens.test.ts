/** HUB_AUTH=jwt over TCP (PROTOCOL.md sections 3 and 7): who may say of whom that it is there, and for how long. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { startTcpHub, sentTo, type TcpHub } from '../support/tcp-hub.ts';
import { TEST_SECRET, tokenFor, unsignedTokenFor } from '../support/tokens.ts';
import type { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-of-some-length';
/** The grace, and what it takes the hub to notice. */
const GRACE_MS = 2_100;
let hub: TcpHub;
afterEach(() => hub.stop());

const start = async (settings: Partial<Config> = {}): Promise<void> => {
  hub = await startTcpHub({
    auth: 'jwt',
    tcpAuth: 'token',
    jwtSecret: TEST_SECRET,
    adminToken: ADMIN,
    tcpAck: true,
    ...settings,
  });
};
const good = (user: string, expiresInS: number | null = 3600): Promise<string> =>
  tokenFor(user, { clock: hub.clock, expiresInS });
const isReported = (watcher: WsClient, change: string): Promise<void> =>
  expect.poll(() => sentTo(watcher), { interval: 5, timeout: 10_000 }).toContain(change);
const ack = (user: string, state: number): string => `<ack user_id="${user}" state="${state}"/>`;
/** Sends frames one by one, each once the answer to the one before is there: what each was answered. */
const answers = async (client: LegacyClient, ...frames: readonly string[]): Promise<string[]> => {
  for (const one of frames) {
    const before = client.received.length;
    client.write(one);
    await expect.poll(() => client.received.slice(before), { interval: 5 }).toContain('</protocol>');
  }
  return answersOf(client).slice(-frames.length);
};
const answersOf = ({ received }: LegacyClient): string[] =>
  [...received.matchAll(/<(ack|error) (?:user_id="([^"]*)" state="([^"]*)"|code="(\w+)")/g)].map(
    ([, , user, state, code]) => code ?? `${user} ${state}`,
  );

describe('the first frame of a user on a connection', () => {
  it('counts with a token of that user, and does not without one (T17)', async () => {
    await start();
    const client = await hub.open();
    expect(await answers(client, frame('42'), frame('42', 2, await good('42')))).toEqual(['unauthenticated', '42 2']);
    expect(await hub.entry('42')).toMatchObject({ status: 'away' });
    expect(await hub.badFrames()).toEqual({ unauthenticated: 1 });
    expect(await hub.refusals()).toEqual({ unauthenticated: 1 });
    await hub.hasReceived(1);
  });

  it('may carry the token as an attribute', async () => {
    await start();
    const client = await hub.open();
    client.write(`<protocol user_id="42" token="${await good('42')}"></protocol>`);
    await client.waitFor(ack('42', 1));
  });

  const noGood: readonly (readonly [string, string, () => string | Promise<string>])[] = [
    ['another user’s', 'forbidden', () => good('7')],
    ['an observer’s', 'forbidden', () => tokenFor(null, { clock: hub.clock, scopes: ['observe'] })],
    ['an admin’s', 'forbidden', () => tokenFor('7', { clock: hub.clock, scopes: ['admin', 'observe'] })],
    ['the admin token', 'forbidden', () => ADMIN],
    ['one that has expired', 'unauthenticated', () => good('42', -1)],
    ['a forged one', 'unauthenticated', () => tokenFor('42', { clock: hub.clock, secret: 'x'.repeat(32) })],
    ['one without a signature', 'unauthenticated', () => unsignedTokenFor('42')],
    ['no token at all', 'unauthenticated', () => 'let-me-in'],
  ];
  it.each(noGood)('is refused with %s: %s', async (_, code, token) => {
    await start();
    const client = await hub.open();
    expect(await answers(client, frame('42', 1, await token()))).toEqual([code]);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', since: null });
    expect(await hub.badFrames()).toEqual({ [code]: 1 });
    expect(await hub.refusals()).toEqual({ [code]: 1 });
  });

  it('needs one on every connection: what one connection was granted lets nobody in on another', async () => {
    await start();
    const [one, other] = [await hub.open(), await hub.open()];
    await answers(one, frame('42', 1, await good('42')));
    expect(await answers(other, frame('42', 2), frame('42', -1))).toEqual(['unauthenticated', 'unauthenticated']);
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
  });

  it('needs one for each user of a gateway: a spoofed one harms nobody', async () => {
    await start();
    const gateway = await hub.open();
    const token = await good('42');
    const said = await answers(
      gateway,
      frame('42', 1, token),
      frame('7', 1, token),
      frame('7'),
      frame('42', 3),
      frame('7', 1, await good('7')),
    );
    expect(said).toEqual(['42 1', 'forbidden', 'unauthenticated', '42 3', '7 1']);
  });
});

describe('while a token is looked at', () => {
  it('the user’s further frames wait, in their order, and the last word holds', async () => {
    await start();
    const client = await hub.open();
    client.write(frame('42', 1, await good('42')) + frame('42', 2) + frame('42', 3));
    await client.waitFor(ack('42', 3));
    expect(answersOf(client)).toEqual(['42 1', '42 2', '42 3']);
    expect(await hub.entry('42')).toMatchObject({ status: 'busy' });
  });

  it('a goodbye that waits counts, and beats are left out before it is', async () => {
    await start();
    const client = await hub.open();
    client.write(frame('42', 1, await good('42')) + frame('42', 2).repeat(20) + frame('42', -1));
    await client.waitFor(ack('42', -1));
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    client.write(frame('7', -1, await good('7')) + frame('7', 2).repeat(20));
    await client.waitFor(ack('7', 2));
    expect(answersOf(client)).toContain('7 -1');
    expect(await hub.entry('7')).toMatchObject({ status: 'away' });
  });

  it('a good token behind a bad one is looked at too', async () => {
    await start();
    const client = await hub.open();
    client.write(frame('42', 2, await good('7')) + frame('42') + frame('42', 3, await good('42')) + frame('42', 1));
    await client.waitFor(ack('42', 1));
    expect(answersOf(client)).toEqual(['forbidden', 'forbidden', '42 3', '42 1']);
  });

  it('a gateway’s many tokens are taken as fast as they can be looked at, and none is refused for their number', async () => {
    await start();
    const users = Array.from({ length: 1_000 }, (_, user) => `${user}`);
    const tokens = await Promise.all(users.map((user) => good(user)));
    const gateway = await hub.open();
    gateway.write(users.map((user, index) => frame(user, 1, tokens[index])).join(''));
    gateway.end();
    await hub.hasConnections(0);
    await hub.hasReceived(1_000);
    expect(await hub.badFrames()).toEqual({});
  });

  it('a gateway whose tokens nobody can judge waits a part of the lease, and goes on for its good users', async () => {
    const { url, hold, stop } = await startKeys();
    await start({ jwtSecret: null, jwksUrl: url });
    await hold.publish();
    const gateway = await hub.open();
    await answers(gateway, frame('42', 1, await hold.sign('42')));
    hub.clock.pass(10_000);
    const answer = hold.stall();
    const strange = await hold.sign('7', 'unknown');
    const crowd = Array.from({ length: 128 }, (_, user) => frame(`crowd-${user}`, 1, strange));
    gateway.write(crowd.join('') + frame('late', 1, strange) + frame('42', 2));
    await hold.isAsked();
    await hub.looked();
    expect(answersOf(gateway)).toEqual(['42 1']);
    hub.clock.pass(1_400);
    await gateway.waitFor(ack('42', 2));
    expect(answersOf(gateway)).toEqual(['42 1', 'unavailable', '42 2']);
    expect(await hub.refusals()).toEqual({ unavailable: 1 });
    answer();
    await stop();
  });

  it('other users of the connection go on (T18)', async () => {
    const { url, hold, stop } = await startKeys();
    await start({ jwtSecret: null, jwksUrl: url });
    const { publish, sign } = hold;
    await publish();
    const gateway = await hub.open();
    gateway.write(frame('42', 1, await sign('42')));
    await gateway.waitFor(ack('42', 1));
    hub.clock.pass(10_000);
    // A key that nobody has seen makes the hub ask for the keys again, and the answer does not come.
    const answer = hold.stall();
    gateway.write(frame('7', 1, await sign('7', 'unknown')));
    gateway.write(frame('42', 2));
    await gateway.waitFor(ack('42', 2));
    expect(answersOf(gateway)).toEqual(['42 1', '42 2']);
    answer();
    await gateway.waitFor('unauthenticated');
    await stop();
  });

  it('what a connection said before its end of stream counts, as if it had ended after the verdict', async () => {
    await start();
    const watcher = await hub.watch('42', '7');
    const shortly = await hub.open();
    shortly.write(frame('42', 2, await good('42')));
    shortly.end();
    await isReported(watcher, '42 away 2');
    await hub.hasConnections(0);
    const goodbye = await hub.open();
    goodbye.write(frame('42', -1, await good('42')));
    goodbye.end();
    await isReported(watcher, '42 offline -1');
    expect(sentTo(watcher)).toEqual(['42 away 2', '42 offline -1']);
    const lost = await hub.open();
    lost.write(frame('7', 1, await good('7')));
    lost.end();
    await isReported(watcher, '7 online 1');
    hub.clock.pass(GRACE_MS);
    await isReported(watcher, '7 offline -1');
  });

  it('a reset of the connection is the last word: nobody comes online after it', async () => {
    const { url, hold, stop } = await startKeys();
    await start({ jwtSecret: null, jwksUrl: url });
    await hold.publish();
    const answer = hold.stall();
    const client = await hub.open();
    client.write(frame('42', 1, await hold.sign('42')));
    await hold.isAsked();
    client.reset();
    await hub.hasConnections(0);
    answer();
    const other = await hub.open();
    other.write(frame('7', 1, await hold.sign('7')));
    await other.waitFor(ack('7', 1));
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', since: null });
    await stop();
  });
});

describe('a grant', () => {
  it('holds without a token after a lapse and after a goodbye, until it expires (T17)', async () => {
    await start();
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', 60)));
    hub.clock.pass(5_500);
    await hub.shows('42', { status: 'offline' });
    expect(await answers(client, frame('42'), frame('42', -1), frame('42', 2))).toEqual(['42 1', '42 -1', '42 2']);
    hub.clock.pass(54_600);
    await hub.looked();
    expect(await answers(client, frame('42'))).toEqual(['unauthenticated']);
  });

  it('ends its session when its token expires, with the grace, and the next frame needs a fresh one (T17)', async () => {
    await start({ tcpTimeoutMs: 600_000 });
    const watcher = await hub.watch('42', '7');
    const gateway = await hub.open();
    await answers(gateway, frame('42', 1, await good('42', 60)), frame('7', 1, await good('7')));
    hub.clock.pass(59_900);
    await hub.looked();
    expect(await answers(gateway, frame('42'))).toEqual(['42 1']);
    hub.clock.pass(200);
    await hub.looked();
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(GRACE_MS);
    await hub.shows('42', { status: 'offline' });
    expect(await answers(gateway, frame('42'), frame('42', 1, await good('42')))).toEqual(['unauthenticated', '42 1']);
    expect(await hub.entry('7')).toMatchObject({ status: 'online' });
    await isReported(watcher, '42 online 1');
    expect(sentTo(watcher).filter((reported) => reported.startsWith('7'))).toEqual(['7 online 1']);
  });

  it('that ran out is renewed within the grace without a flicker', async () => {
    await start({ tcpTimeoutMs: 600_000 });
    const watcher = await hub.watch('42');
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', 60)));
    hub.clock.pass(60_100);
    await hub.looked();
    await answers(client, frame('42', 1, await good('42')));
    hub.clock.pass(GRACE_MS);
    await hub.looked();
    await answers(client, frame('42', 2));
    await isReported(watcher, '42 away 2');
    expect(sentTo(watcher)).toEqual(['42 online 1', '42 away 2']);
  });

  it('is lengthened by a fresh token before it expires (T17)', async () => {
    await start({ tcpTimeoutMs: 600_000 });
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', 60)), frame('42', 1, await good('42', 120)));
    hub.clock.pass(61_000);
    await hub.looked();
    expect(await answers(client, frame('42', 2))).toEqual(['42 2']);
    hub.clock.pass(60_000);
    await hub.looked();
    expect(await answers(client, frame('42', 3))).toEqual(['unauthenticated']);
  });

  it('loses nothing by a bad or a shorter token, and the bad one is counted once', async () => {
    await start({ tcpTimeoutMs: 600_000 });
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', 60)));
    const others = await good('7');
    expect(await answers(client, frame('42', 2, others))).toEqual(['42 2']);
    await expect.poll(() => hub.refusals()).toEqual({ forbidden: 1 });
    expect(await answers(client, frame('42', 2, others), frame('42', 3, 'rubbish'))).toEqual(['42 2', '42 3']);
    await expect.poll(() => hub.refusals()).toEqual({ forbidden: 1, unauthenticated: 1 });
    expect(await answers(client, frame('42', 1, await good('42', 10)))).toEqual(['42 1']);
    hub.clock.pass(59_000);
    await hub.looked();
    expect(await answers(client, frame('42'))).toEqual(['42 1']);
    expect(await hub.badFrames()).toEqual({});
  });

  it('runs out by the wall clock, stepped or not', async () => {
    await start({ tcpTimeoutMs: 600_000 });
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', 60)));
    hub.clock.stepWall(61_000);
    hub.clock.pass(1_100);
    await hub.looked();
    hub.clock.pass(GRACE_MS);
    await hub.shows('42', { status: 'offline' });
  });

  it('of a token without end lasts', async () => {
    await start();
    const client = await hub.open();
    await answers(client, frame('42', 1, await good('42', null)));
    hub.clock.pass(86_400_000_000);
    await hub.looked();
    expect(await answers(client, frame('42', 2))).toEqual(['42 2']);
  });
});

describe('refused frames', () => {
  it('ten in a row close a connection that carries nobody (T16)', async () => {
    await start();
    const client = await hub.open();
    client.write(frame('42').repeat(9));
    await hub.looked();
    await hub.hasConnections(1);
    client.write(frame('42'));
    await client.closed;
    expect(await hub.badFrames()).toEqual({ unauthenticated: 10 });
  });

  it('never close one that carries a good user; ten malformed ones do (T16)', async () => {
    await start();
    const gateway = await hub.open();
    await answers(gateway, frame('42', 1, await good('42')));
    gateway.write(frame('7').repeat(25) + frame('42', 2));
    await gateway.waitFor(ack('42', 2));
    gateway.write(frame('7').repeat(12) + frame('no user') + frame('42', 3));
    await gateway.waitFor(ack('42', 3));
    gateway.write(frame('no user').repeat(10));
    await gateway.closed;
  });

  it('do not close while a good user’s token is still looked at', async () => {
    await start();
    const gateway = await hub.open();
    gateway.write(frame('42', 1, await good('42')) + frame('7').repeat(20) + frame('42', 2));
    await gateway.waitFor(ack('42', 2));
    await hub.hasConnections(1);
  });
});

describe('keys that can’t be had', () => {
  it('refuse no frame: it is answered with `unavailable`, and a later one without a token counts (T19)', async () => {
    const { url, hold, stop } = await startKeys();
    await start({ jwtSecret: null, jwksUrl: url });
    hold.fail();
    const client = await hub.open();
    const token = await hold.sign('42');
    expect(await answers(client, frame('42', 1, token))).toEqual(['unavailable']);
    expect(await hub.refusals()).toEqual({ unavailable: 1 });
    // Neither that many of them nor that long a time ends the connection.
    for (let i = 0; i < 15; i++) {
      hub.clock.pass(3_000);
      expect(await answers(client, frame('42'))).toEqual(['unavailable']);
    }
    expect(await hub.badFrames()).toEqual({});
    await hold.publish();
    hub.clock.pass(1_000);
    expect(await answers(client, frame('42'), frame('42', 2))).toEqual(['42 1', '42 2']);
    await stop();
  });
});

describe('a token that is not valid yet', () => {
  it('lets its user in without being sent again, within 25 s of the moment it becomes valid', async () => {
    await start();
    const client = await hub.open();
    const early = await tokenFor('42', { clock: hub.clock, notBeforeInS: 240 });
    expect(await answers(client, frame('42', 1, early))).toEqual(['unavailable']);
    for (let s = 2; s <= 234; s += 2) {
      hub.clock.pass(2_000);
      expect(await answers(client, frame('42'))).toEqual(['unavailable']);
    }
    expect(await hub.badFrames()).toEqual({});
    hub.clock.pass(25_000);
    expect(await answers(client, frame('42'))).toEqual(['42 1']);
  });
});

describe('if no token is asked for', () => {
  it.each([
    ['in open mode', { auth: 'open', tcpAuth: 'none', jwtSecret: null, adminToken: null }],
    ['in open mode with an admin token', { auth: 'open', tcpAuth: 'token', jwtSecret: null }],
    ['with HUB_TCP_AUTH=none', { tcpAuth: 'none' }],
  ] as const)('%s, a token is ignored, good or bad', async (_, settings) => {
    await start(settings);
    const client = await hub.open();
    const said = await answers(client, frame('42'), frame('7', 2, 'rubbish'), frame('8', 3, await good('42')));
    expect(said).toEqual(['42 1', '7 2', '8 3']);
    expect(await hub.badFrames()).toEqual({});
  });
});

it('more sessions than a user may have are a bad frame, and no other user suffers', async () => {
  await start({ auth: 'open', tcpAuth: 'none', jwtSecret: null, adminToken: null, maxSessions: 1 });
  const [one, other] = [await hub.open(), await hub.open()];
  await answers(one, frame('42'));
  expect(await answers(other, frame('42', 2), frame('7'))).toEqual(['too_many', '7 1']);
  expect(await hub.badFrames()).toEqual({ too_many: 1 });
  expect(await hub.refusals()).toEqual({ sessions: 1 });
  expect(await hub.entry('42')).toMatchObject({ status: 'online' });
});

interface Keys {
  readonly publish: () => Promise<void>;
  readonly fail: () => void;
  /** From now on a request for the keys waits until what this answers is called. */
  readonly stall: () => () => void;
  readonly isAsked: () => Promise<void>;
  readonly sign: (user: string, kid?: string) => Promise<string>;
}

/** An issuer whose keys can be had, or not. */
async function startKeys(): Promise<{ url: string; hold: Keys; stop: () => Promise<void> }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  let body: string | undefined;
  let gate: Promise<void> = Promise.resolve();
  let asked = 0;
  const server: Server = createServer((_, response) => {
    asked++;
    void gate.then(() => {
      response.writeHead(body === undefined ? 503 : 200, { 'content-type': 'application/json' });
      response.end(body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hold: Keys = {
    publish: async () => {
      const key = await exportJWK(publicKey);
      body = JSON.stringify({ keys: [{ ...key, kid: 'first', alg: 'ES256' }] });
    },
    fail: () => {
      body = undefined;
    },
    stall: () => {
      let open = (): void => {};
      asked = 0;
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return open;
    },
    isAsked: () => expect.poll(() => asked, { interval: 5 }).toBeGreaterThan(0),
    sign: (user, kid = 'first') =>
      new SignJWT({ sub: user }).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey),
  };
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, hold, stop };
}
