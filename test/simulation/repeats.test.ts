/**
 * The quick way of a connection, for the same frame again, held to the plain one. Packet borders mean nothing to a legacy
 * client, and the quick way takes none but whole frames: so the same bytes with a border within each frame go the plain
 * way, and whatever is to be seen afterwards must be the same.
 */
import { noPeers } from '../../server/peers.ts';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../server/admission.ts';
import { TcpConnection } from '../../server/adapters/tcp-xml/connection.ts';
import { defaultFieldNames } from '../../server/adapters/tcp-xml/frames/names.ts';
import { FrameTemplates } from '../../server/adapters/tcp-xml/frames/frame-templates.ts';
import type { TcpXmlOptions } from '../../server/adapters/tcp-xml/options.ts';
import { FairQueue } from '../../server/lib/collections/fair-queue.ts';
import { openAuthenticator, type Authenticator } from '../../server/auth/authenticator.ts';
import { Intake } from '../../server/intake.ts';
import { InputWait } from '../../server/lib/time/input-wait.ts';
import { Random } from '../bench/lib/random.ts';
import { PresenceStage } from '../support/presence-stage.ts';
import { cidrs } from '../support/tcp-stage.ts';

const USERS = ['42', '43'];
/** Out of the way: a pause would fall on another packet of the two. test/integration/tcp-limits.test.ts has the rate. */
const MESSAGES = { perS: 1e9, burst: 1e9 };

/** One connection upon a core of its own. */
class Side {
  readonly core = new PresenceStage();
  readonly reported: string[] = [];
  /** Signs of life that came the quick way. */
  quick = 0;
  readonly #intake: Intake;
  readonly #socket = new Socket();
  readonly #connection: TcpConnection;
  #afterTurn: (() => void)[] = [];

  constructor(authenticator: Authenticator) {
    const { users, presence, clock } = this.core;
    const report = (what: string): void => {
      this.reported.push(`${clock.now().monoMs} ${what}`);
    };
    this.#intake = new Intake({
      users,
      presence,
      clock,
      onChange: [({ user }) => report(`${user.id} ${user.fold.status} ${user.fold.devices.join()}`)],
      maxSessions: 100,
      maxSessionsTotal: 1_000_000,
      unsavedCount: () => 0,
      peers: noPeers,
      onRefused: report,
    });
    const repeat = this.#intake.repeat.bind(this.#intake);
    this.#intake.repeat = (session, times, now) => {
      this.quick += times;
      repeat(session, times, now);
    };
    const options: TcpXmlOptions = {
      authenticator,
      asksForToken: authenticator !== openAuthenticator,
      admission: new Admission({ maxConnections: 1, maxPerAddress: 1 }),
      allowed: null,
      trustedProxies: cidrs(''),
      tls: null,
      tlsMode: 'allow',
      onRefused: report,
      explainRefusal: () => undefined,
      maxUsers: 20_000,
      messages: MESSAGES,
      frameMs: 30_000,
      intake: this.#intake,
      clock,
      inputWait: new InputWait(),
      encoding: 'utf-8',
      names: defaultFieldNames,
      statusOf: (code) => (code === 2 ? 'away' : 'online'),
      timeoutMs: 5_400,
      ack: false,
      probe: false,
      onBadFrame: ({ reason }) => report(reason),
    };
    const opened = {
      socket: this.#socket,
      source: { address: '127.0.0.1', port: 1 },
      openedAt: clock.now().monoMs,
    };
    this.#connection = new TcpConnection(options, opened, {
      queue: new FairQueue({ clock, afterTurn: (run) => this.#afterTurn.push(run) }),
      templates: new FrameTemplates('utf-8', defaultFieldNames),
      visitBy: () => undefined,
      onDone: () => report('done'),
    });
    this.#connection.start(undefined);
  }

  take(packets: readonly Buffer[]): void {
    for (const packet of packets) this.#socket.emit('data', packet);
  }

  pass(ms: number): void {
    const { clock, presence } = this.core;
    clock.pass(ms);
    const turn = this.#afterTurn;
    this.#afterTurn = [];
    for (const run of turn) run();
    for (const session of presence.expire(clock.now(), 1000).lapsed) session.owner.lapsed(session);
    this.#connection.tick(clock.now().monoMs);
  }

  get received(): number {
    return this.#intake.heartbeats['tcp-xml'];
  }

  get isDone(): boolean {
    return this.#connection.isDone;
  }

  get seen(): unknown {
    const sessions = USERS.flatMap((user) =>
      ['legacy', 'phone'].map((device) => {
        const session = this.#intake.find(user, device, 'tcp-xml');
        if (session === undefined) return null;
        const { phase, status, code, lastSignAt, statusSetNo } = session;
        return { phase, status, code, lastSignAt, statusSetNo, endsAt: session.endsAt };
      }),
    );
    return {
      sessions,
      heartbeats: this.#intake.heartbeats,
      reported: this.reported,
      isPaused: this.#socket.isPaused(),
    };
  }

  close(): void {
    this.#socket.destroy();
  }
}

const frame = (user: string, state: number, more = ''): string =>
  `<protocol><user_id>${user}</user_id><user_state>${state}</user_state>${more}</protocol>`;

/** The same bytes with a border behind the first byte of each element, so that no packet begins with a whole frame. */
function withBorders(bytes: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf('<protocol'); at >= 0; at = bytes.indexOf('<protocol', at + 1)) {
    packets.push(bytes.subarray(from, at + 1));
    from = at + 1;
  }
  packets.push(bytes.subarray(from));
  return packets.filter(({ length }) => length > 0);
}

function nextBytes(random: Random, tokens: readonly string[]): Buffer {
  if (random.isOneIn(20)) return Buffer.from('<protocol>bad</protocol>');
  const state = random.isOneIn(8) ? random.pick([0, -1, 2, 3]) : 1;
  const more = random.isOneIn(5)
    ? random.pick(['<device>phone</device>', ' ', '<x>', `<!--${'-'.repeat(600)}-->`])
    : '';
  const token = tokens.length > 0 && random.isOneIn(8) ? random.pick(tokens) : '';
  const user = random.isOneIn(4) ? '43' : '42';
  const one = random.isOneIn(6)
    ? `<protocol user_id="${user}" user_state="${state}" token="${token}"/>`
    : frame(user, state, more + (token === '' ? '' : `<token>${token}</token>`));
  const space = random.pick(['', '\n', '\r\n', ' \t', '\n\n', '\0', '\n\0', '\0\r\n']);
  const many = (space + one).repeat(random.isOneIn(10) ? 1 + random.below(80) : 1 + random.below(4));
  const bytes = Buffer.from(many + random.pick(['', '\n', '\ufeff', '<', 'x']).slice(0, random.isOneIn(12) ? 1 : 0));
  return random.isOneIn(20) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

async function compare(
  seed: number,
  authenticator: Authenticator,
  tokens: readonly string[],
): Promise<{ readonly quick: number; readonly received: number }> {
  const random = new Random(seed);
  const quick = new Side(authenticator);
  const plain = new Side(authenticator);
  for (let step = 0; step < 300 && !quick.isDone; step++) {
    // The last one again, more often than not: that is what the quick way is for.
    const bytes = nextBytes(random, tokens);
    const times = random.isOneIn(3) ? 1 + random.below(6) : 1;
    // Time passes before a look sees it.
    const unseenMs = random.isOneIn(4) ? random.below(2_000) : 0;
    for (const { core } of [quick, plain]) core.clock.pass(unseenMs);
    for (let i = 0; i < times; i++) {
      quick.take([bytes]);
      plain.take(withBorders(bytes));
    }
    await Promise.resolve();
    const passed = random.isOneIn(4) ? random.below(random.isOneIn(10) ? 8_000 : 400) : 0;
    for (const side of [quick, plain]) side.pass(passed);
    await Promise.resolve();
    expect(quick.seen, `seed ${seed}, step ${step}`).toEqual(plain.seen);
  }
  quick.close();
  plain.close();
  return { quick: quick.quick, received: plain.received };
}

/** A token is its user’s id, and runs out a minute after the clock’s start. */
const tokens: Authenticator = {
  withoutToken: null,
  verify: (token) => {
    const expiresAtMs = new PresenceStage().clock.wallMs + 60_000;
    const identity = { user: token, scopes: new Set<never>(), expiresAtMs, isOpen: false };
    return Promise.resolve(
      USERS.includes(token)
        ? { ok: true, identity }
        : { ok: false, kind: 'refused', fault: 'form', why: 'it is no token' },
    );
  },
};

describe('the same frame again', () => {
  it('has one outcome, whatever the way: 100,000 heartbeats of random users, states and borders', async () => {
    let quick = 0;
    let received = 0;
    for (let seed = 1; seed <= 330; seed++) {
      const side = await compare(seed, openAuthenticator, []);
      quick += side.quick;
      received += side.received;
    }
    expect(received).toBeGreaterThan(100_000);
    expect(quick).toBeGreaterThan(received / 4);
  }, 120_000);

  it('is a good frame that resets the count of bad ones', () => {
    const side = new Side(openAuthenticator);
    const good = Buffer.from(frame('42', 1));
    const bad = Buffer.from('<protocol></protocol>'.repeat(6));
    side.take([good, good, bad, good]);
    expect(side.quick).toBe(1);
    side.pass(6_000); // the session is gone, and none but bad frames keep the connection
    side.take([bad]);
    expect(side.isDone).toBe(false);
    side.close();
  });

  it('counts no longer once the token has expired, though nobody has looked', async () => {
    const side = new Side(tokens);
    const again = Buffer.from(frame('42', 1));
    side.take([Buffer.from(frame('42', 1, '<token>42</token>'))]);
    await Promise.resolve();
    side.take([again, again]);
    expect(side.quick).toBe(1);
    side.core.clock.pass(60_000);
    side.take([again]);
    expect(side.quick).toBe(1);
    expect(side.reported.at(-1)).toMatch(/unauthenticated/);
    side.close();
  });

  it('has one outcome if tokens let users in, and run out', async () => {
    let quick = 0;
    for (let seed = 201; seed <= 380; seed++) quick += (await compare(seed, tokens, ['42', '43', 'nobody'])).quick;
    expect(quick).toBeGreaterThan(1000);
  }, 120_000);
});
