import { noPeers } from '../../server/peers.ts';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { MAX_POLLS_AT_ONCE, Poller, type PollerOptions } from '../../server/adapters/poll/poller.ts';
import type { CutOff, Outcome, Prober } from '../../server/adapters/poll/probe.ts';
import type { Endpoint } from '../../server/adapters/poll/targets.ts';
import { Intake } from '../../server/intake.ts';
import type { Moment } from '../../server/lib/time/clock.ts';
import { systemClock } from '../../server/lib/time/system-clock.ts';
import { StartError } from '../../server/lib/start-error.ts';
import { CodeTable } from '../../server/presence/legacy-codes.ts';
import { Journal } from '../../server/presence/explain/journal.ts';
import { VersionClock } from '../../server/presence/version-clock.ts';
import type { Presence } from '../../server/presence/presence.ts';
import type { Users } from '../../server/presence/users.ts';
import type { Session } from '../../server/presence/sessions/session.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import { buildTestCore } from '../support/presence-stage.ts';

const dir = mkdtempSync(join(tmpdir(), 'poll-'));
afterAll(() => rmSync(dir, { recursive: true }));

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** Values as they come, for those who wait for one. */
class Feed<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<(value: T) => void>();

  push(value: T): void {
    this.all.push(value);
    for (const look of this.#waiting) look(value);
  }

  /** The next value that fits; what came before does not count. */
  next(fits: (value: T) => boolean = () => true): Promise<T> {
    return new Promise((resolve) => {
      const look = (value: T): void => {
        if (!fits(value)) return;
        this.#waiting.delete(look);
        resolve(value);
      };
      this.#waiting.add(look);
    });
  }

  /** As `next`, so many times. */
  async nextOf(count: number): Promise<void> {
    const enough = this.all.length + count;
    while (this.all.length < enough) await this.next();
  }
}

type Given = Partial<Pick<PollerOptions, 'prober' | 'random'>>;

/** A file, a poller that follows it, and the core behind it, on a clock that can be put forward. */
class Hub {
  readonly file = join(dir, `${Math.random().toString(36).slice(2)}.json`);
  readonly log = new Feed<string>();
  readonly entries = new Feed<Entry>();
  readonly outage = new Feed<string>();
  readonly users: Users;
  readonly presence: Presence;
  readonly intake: Intake;
  readonly poller: Poller;
  aheadMs = 0;

  constructor(targets: unknown, given: Given = {}) {
    this.write(targets);
    const clock = { now: () => this.now() };
    const hubClock = new VersionClock(0, () => true);
    const journal = new Journal([1, 2], this.now().wallMs);
    const { users, presence } = buildTestCore({ graceMs: 2000, hubClock, journal, now: this.now() });
    this.users = users;
    this.presence = presence;
    this.intake = new Intake({
      users,
      presence,
      clock,
      onChange: [
        ({ user, isShown }) => {
          if (isShown) this.entries.push(this.users.entryOf(user));
        },
      ],
      maxSessions: 100,
      maxSessionsTotal: 1_000_000,
      unsavedCount: () => 0,
      onRefused: () => undefined,
      peers: noPeers,
    });
    const parsed = CodeTable.parse('away=2|12');
    if (!parsed.ok) throw new Error(parsed.problem);
    const note = (...words: readonly unknown[]): void =>
      this.log.push(words.map((word) => JSON.stringify(word)).join(' '));
    this.poller = new Poller({
      file: this.file,
      intake: this.intake,
      clock,
      log: { error: note, warn: note, info: note },
      codes: parsed.value,
      readXmlState: (body) => {
        const [, state] = /<protocol>.*<user_state>(-?\d+)</s.exec(body.toString()) ?? [];
        return state === undefined ? undefined : Number(state);
      },
      outage: {
        began: ({ user }) => this.outage.push(`${user.id} began`),
        ended: ({ user }) => this.outage.push(`${user.id} ended`),
      },
      checkFileEveryMs: 20,
      ...given,
    });
    endings.push(() => this.poller.stop());
  }

  now(): Moment {
    const { wallMs, monoMs } = systemClock.now();
    return { wallMs: wallMs + this.aheadMs, monoMs: monoMs + this.aheadMs };
  }

  /** Replaces the file as a careful writer does. */
  write(targets: unknown): void {
    const draft = `${this.file}.new`;
    writeFileSync(draft, typeof targets === 'string' ? targets : JSON.stringify(targets));
    renameSync(draft, this.file);
  }

  entry(user = '42'): Entry {
    return this.users.entryOf(this.users.peek(user));
  }

  session(user = '42', device = 'poll'): Session | undefined {
    return this.intake.find(user, device, 'poll');
  }

  /** Waits until the entry is so, if it is not. */
  async shows(fields: Partial<Entry>, user = '42'): Promise<Entry> {
    const fits = (entry: Entry): boolean =>
      entry.user === user && Object.entries(fields).every(([name, value]) => entry[name as keyof Entry] === value);
    return fits(this.entry(user)) ? this.entry(user) : this.entries.next(fits);
  }
}

async function startHub(targets: unknown, given?: Given): Promise<Hub> {
  const hub = new Hub(targets, given);
  await hub.poller.start();
  return hub;
}

async function listen(server: Server, port = 0): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  endings.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** An HTTP target whose answer can be given another value at any time. */
class Answering {
  readonly requests = new Feed<string>();
  answer: RequestListener = (_, response) => response.end();
  port = 0;

  static async start(answer?: RequestListener): Promise<Answering> {
    const target = new Answering();
    if (answer !== undefined) target.answer = answer;
    const server = createHttpServer((request, response) => {
      target.answer(request, response);
      target.requests.push(request.url ?? '');
    });
    target.port = await listen(server);
    return target;
  }

  says(body: string): void {
    this.answer = (_, response) => response.end(body);
  }

  fails(): void {
    this.answer = (_, response) => response.writeHead(503).end();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
}

const quick = { user: '42', everyMs: 100, timeoutMs: 100, failures: 2 };
const patient = { ...quick, everyMs: 1000, timeoutMs: 1000 };
/** First polls at once, and no jitter. */
const prompt = { random: () => 0 };

describe('a TCP target', () => {
  test('is online while its port is open, offline while it is closed, and back again (I2, P2)', async () => {
    const server = createTcpServer((socket) => socket.resume());
    const port = await listen(server);
    const hub = await startHub([{ ...quick, url: `tcp://127.0.0.1:${port}` }]);
    expect(await hub.shows({ status: 'online' })).toMatchObject({ user: '42', code: 1, devices: ['poll'] });
    expect(hub.session()?.address).toBe(`127.0.0.1:${port}`);
    server.close();
    await hub.shows({ status: 'offline', code: -1 });
    await listen(
      createTcpServer((socket) => socket.resume()),
      port,
    );
    await hub.shows({ status: 'online' });
  });
});

describe('an HTTP target', () => {
  test('is online with a 2xx, offline after as many misses in a row as the file says, and back with one good answer (P2)', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, failures: 3, url: target.url }]);
    await hub.shows({ status: 'online' });
    target.fails();
    const before = target.requests.all.length;
    await hub.shows({ status: 'offline' });
    expect(target.requests.all.length - before).toBe(3);
    await target.requests.nextOf(3);
    expect(hub.log.all.filter((line) => line.includes('is down'))).toEqual([
      expect.stringContaining('"reason":"it answered 503"'),
    ]);
    target.says('');
    await hub.shows({ status: 'online' });
  });

  test('that misses, but never often enough in a row, stays online', async () => {
    let polls = 0;
    const target = await Answering.start((_, response) => response.writeHead(++polls % 3 === 0 ? 200 : 500).end());
    const hub = await startHub([{ ...quick, failures: 3, url: target.url }]);
    await hub.shows({ status: 'online' });
    await target.requests.nextOf(9);
    expect(hub.entries.all).toHaveLength(1);
  });

  test('that never answers is offline, and its connections are closed', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, url: target.url }]);
    await hub.shows({ status: 'online' });
    const cut = new Feed<boolean>();
    target.answer = ({ socket }) => socket.on('close', () => cut.push(true));
    await Promise.all([hub.shows({ status: 'offline' }), cut.nextOf(2)]);
    expect(hub.log.all.at(-1)).toContain('no answer in 100 ms');
  });

  test.each([
    ['headers', 'HTTP/1.1 200 OK\r\nx: '],
    ['a body', 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n'],
  ])('that drips %s is offline, however alive it seems', async (_, beginning) => {
    const server = createTcpServer((socket) => {
      socket.resume().write(beginning);
      const drip = setInterval(() => socket.write('x'), 10);
      socket.on('close', () => clearInterval(drip));
    });
    const hub = await startHub([{ ...quick, url: `http://127.0.0.1:${await listen(server)}` }]);
    await hub.log.next((line) => line.includes('no answer in 100 ms'));
    expect(hub.entries.all).toEqual([]);
  });

  test('with a body beyond all measure is online, and only its beginning is taken', async () => {
    const target = await Answering.start((_, response) => response.end('{"status":"away"}'.padEnd(8193)));
    const hub = await startHub([{ ...quick, url: target.url }]);
    await target.requests.nextOf(3);
    expect(hub.entries.all).toEqual([expect.objectContaining({ status: 'online' })]);
  });

  test('sets status and text with a JSON answer, and is online again without them (L5, P3)', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, url: target.url }]);
    target.says('{"status":"away","text":"lunch"}');
    await hub.shows({ status: 'away', code: 2, text: 'lunch' });
    target.says('{"status":"busy"}');
    expect(await hub.shows({ status: 'busy', code: 3 })).not.toHaveProperty('text');
    target.says('{"status":"asleep"}');
    await hub.shows({ status: 'online', code: 1 });
    target.says('{"status":"invisible"}');
    await hub.shows({ status: 'offline' });
    expect(hub.session()?.status).toBe('invisible');
    target.says('');
    await hub.shows({ status: 'online' });
    target.says('{"status":"offline"}');
    await hub.shows({ status: 'offline' });
    expect(hub.session()).toBeUndefined();
    expect(hub.log.all).toEqual([]);
  });

  test('sets status and code with an XML answer (P3)', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, url: target.url }]);
    const say = (state: number): void =>
      target.says(`<protocol><user_id>42</user_id><user_state>${state}</user_state></protocol>`);
    say(12);
    await hub.shows({ status: 'away', code: 12 });
    say(77);
    await hub.shows({ status: 'online', code: 77 });
    say(-1);
    await hub.shows({ status: 'offline', code: -1 });
    target.says('<protocol></protocol>');
    await hub.shows({ status: 'online', code: 1 });
    say(0);
    await hub.shows({ status: 'offline' });
  });

  test('begins a new session if another part of the hub ended the previous one', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, url: target.url }]);
    await hub.shows({ status: 'online' });
    const first = hub.session()!;
    hub.intake.end(first);
    expect(hub.entry().status).toBe('offline');
    await hub.shows({ status: 'online' });
    expect(hub.session()).not.toBe(first);
  });

  test('begins a new session if the lease of the previous one expired', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...patient, url: target.url }], prompt);
    await hub.shows({ status: 'online' });
    const { lastSignAt, leaseMs } = hub.session()!;
    // Three rounds of an early-to-late poll and its timeout, the wait in a line of one, and a second.
    expect(leaseMs).toBe(Math.ceil((1100 + 1000 + 1000 / 64) * 3 + 1000));
    const { lapsed, changes } = hub.presence.expire({ wallMs: Date.now(), monoMs: lastSignAt + leaseMs + 100 }, 10);
    expect(changes).toHaveLength(1);
    for (const session of lapsed) session.owner.lapsed(session);
    await hub.entries.next(({ status }) => status === 'online');
  });

  test('leaves the other sessions of its user alone', async () => {
    const target = await Answering.start();
    const hub = await startHub([
      { ...quick, url: target.url },
      { ...quick, url: 'tcp://127.0.0.1:1', device: 'desk' },
    ]);
    await hub.shows({ status: 'online' });
    await hub.log.next((line) => line.includes('"device":"desk"'));
    expect(hub.entry()).toMatchObject({ status: 'online', devices: ['poll'] });
  });
});

describe('the file of targets', () => {
  test.each([
    ['[{"user":"42","url":"tcp://127.0.0.1"}]', /^HUB_POLL is ".+\.json": targets\[0\]\.url .+ must be tcp:/],
    ['{', /^HUB_POLL is ".+\.json": it is not JSON/],
  ])('stops the start if it is wrong: %s (P1)', async (text, message) => {
    const start = startHub(text);
    await expect(start).rejects.toThrow(StartError);
    await expect(start).rejects.toThrow(message);
  });

  test('stops the start if it is missing', async () => {
    const hub = new Hub([]);
    unlinkSync(hub.file);
    await expect(hub.poller.start()).rejects.toThrow(/^HUB_POLL is ".+": the file cannot be read \(ENOENT\); give a/);
  });

  test('takes a target off: its user leaves, and it is asked no more (P1)', async () => {
    const [stays, goes] = [await Answering.start(), await Answering.start()];
    const keeper = { ...quick, user: '7', url: stays.url };
    const hub = await startHub([keeper, { ...quick, url: goes.url }]);
    await Promise.all([hub.shows({ status: 'online' }), hub.shows({ status: 'online' }, '7')]);
    hub.write({ targets: [keeper] });
    await hub.shows({ status: 'offline' });
    const asked = goes.requests.all.length;
    await stays.requests.nextOf(3);
    expect(goes.requests.all).toHaveLength(asked);
    expect(hub.entry('7').status).toBe('online');
  });

  test('cuts off the poll of a target that it takes off', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...patient, url: target.url }], prompt);
    const cut = new Feed<boolean>();
    target.answer = ({ socket }) => socket.on('close', () => cut.push(true));
    const closing = cut.next();
    await target.requests.next();
    hub.write([]);
    await closing;
    expect(hub.log.all).toEqual([expect.stringContaining('"removed":1')]);
  });

  test('leaves a target that stays the same untouched, the poll on its way included', async () => {
    const target = await Answering.start();
    const keeper = { ...patient, url: target.url };
    const hub = await startHub([keeper], prompt);
    let answer = (): void => {};
    target.answer = (_, response) => {
      answer = () => response.end('{"status":"busy"}');
    };
    await target.requests.next();
    hub.write([{ ...quick, user: '7', url: 'tcp://127.0.0.1:1' }, keeper]);
    await hub.log.next((line) => line.includes('"added":1,"changed":0,"removed":0'));
    answer();
    await hub.shows({ status: 'busy' });
    expect(target.requests.all).toHaveLength(1);
  });

  test('moves a target to another url at once, and its session goes on', async () => {
    const [from, to] = [await Answering.start(), await Answering.start()];
    const slow = { ...patient, everyMs: 60_000 };
    const hub = await startHub([{ ...slow, url: from.url }], prompt);
    await hub.shows({ status: 'online' });
    const session = hub.session();
    to.says('{"status":"away"}');
    hub.write([{ ...slow, url: to.url }]);
    await hub.shows({ status: 'away' });
    expect(hub.session()).toBe(session);
    expect(hub.entries.all.map(({ status }) => status)).toEqual(['online', 'away']);
    expect(from.requests.all).toHaveLength(1);
  });

  test('that is wrong, or gone, is named once, while the old targets go on; the next right one counts (P1)', async () => {
    const target = await Answering.start();
    const hub = await startHub([{ ...quick, url: target.url }]);
    await hub.shows({ status: 'online' });
    hub.write([{ ...quick, url: target.url, everyMs: 1 }]);
    expect(await hub.log.next()).toMatch(
      /targets\[0\]\.everyMs is the number 1: it must be a whole number from 100 to/,
    );
    await target.requests.nextOf(2);
    unlinkSync(hub.file);
    expect(await hub.log.next()).toMatch(/ENOENT.+; until then the previous targets are polled/);
    await target.requests.nextOf(2);
    expect(hub.log.all).toHaveLength(2);
    hub.write([]);
    await hub.shows({ status: 'offline' });
    expect(hub.entries.all.map(({ status }) => status)).toEqual(['online', 'offline']);
  });
});

/** Polls that are answered by the test. */
class Held implements Pick<Prober, 'probe'> {
  readonly polls = new Feed<{ endpoint: Endpoint; answer: (outcome: Outcome) => void }>();
  readonly open = new Set<Endpoint>();
  most = 0;
  waitsFor: ReturnType<CutOff> = 'the answer';

  probe(endpoint: Endpoint, onOutcome: (outcome: Outcome) => void): CutOff {
    if (this.open.has(endpoint)) throw new Error('two polls of one target at once');
    this.open.add(endpoint);
    this.most = Math.max(this.most, this.open.size);
    const end = () => this.open.delete(endpoint);
    const answer = (outcome: Outcome): void => {
      if (end()) onOutcome(outcome);
    };
    this.polls.push({ endpoint, answer });
    return () => {
      end();
      return this.waitsFor;
    };
  }
}

const alive: Outcome = { kind: 'alive', body: undefined };

describe('the schedule', () => {
  test('has at most 64 polls on their way at once, and all targets get their turn', async () => {
    let atOnce = 0;
    let most = 0;
    const target = await Answering.start((_, response) => {
      most = Math.max(most, ++atOnce);
      setTimeout(() => {
        atOnce--;
        response.end();
      }, 25);
    });
    const targets = Array.from({ length: 1000 }, (_, i) => ({
      ...patient,
      user: String(i),
      url: `${target.url}/${i}`,
    }));
    const hub = await startHub(
      targets.map((one) => ({ ...one, everyMs: 60_000, timeoutMs: 20_000 })),
      prompt,
    );
    while (hub.entries.all.length < 1000) await hub.entries.next();
    expect(most).toBeGreaterThan(32);
    expect(most).toBeLessThanOrEqual(MAX_POLLS_AT_ONCE);
    expect(new Set(target.requests.all).size).toBe(1000);
  });

  test('never has two polls of one target at once, be it due again', async () => {
    const prober = new Held();
    const targets = Array.from({ length: 200 }, (_, i) => ({ ...quick, user: String(i), url: 'tcp://127.0.0.1:1' }));
    const hub = await startHub(targets, { prober });
    // Every target twice: each poll takes all its time, so most are due again while they wait in line.
    const leastAsked = (): number => {
      const times = new Map<Endpoint, number>();
      for (const { endpoint } of prober.polls.all) times.set(endpoint, (times.get(endpoint) ?? 0) + 1);
      return times.size < 200 ? 0 : Math.min(...times.values());
    };
    while (leastAsked() < 2) await prober.polls.next();
    expect(prober.most).toBe(MAX_POLLS_AT_ONCE);
    expect(hub.entries.all).toEqual([]);
  });

  test('cuts off the poll of a target that gets another url, and asks there', async () => {
    const prober = new Held();
    const hub = await startHub([{ ...patient, url: 'tcp://127.0.0.1:1' }], { ...prompt, prober });
    const old = await prober.polls.next();
    hub.write([{ ...patient, url: 'tcp://127.0.0.1:2' }]);
    const { endpoint } = await prober.polls.next();
    expect(endpoint).toMatchObject({ port: 2 });
    expect([...prober.open]).toEqual([endpoint]);
    old.answer(alive);
    expect(hub.entries.all).toEqual([]);
  });

  test('counts no poll as a miss that the hub itself slept through', async () => {
    const prober = new Held();
    const hub = await startHub([{ ...patient, failures: 1, url: 'tcp://127.0.0.1:1' }], { ...prompt, prober });
    const { answer } = await prober.polls.next();
    hub.aheadMs += 5000;
    // Longer than the poller's own rhythm, shorter than the timeout that begins anew.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hub.log.all).toEqual([]);
    answer(alive);
    await hub.shows({ status: 'online' });
  });

  test('counts no poll that the hub lacked the means for, and says so once (P5)', async () => {
    const prober = new Held();
    const hub = await startHub([{ ...quick, failures: 1, url: 'tcp://127.0.0.1:1' }], { ...prompt, prober });
    (await prober.polls.next()).answer(alive);
    for (let i = 0; i < 3; i++) (await prober.polls.next()).answer({ kind: 'unable', reason: 'EMFILE' });
    expect(hub.entry().status).toBe('online');
    expect(hub.log.all).toEqual([expect.stringContaining('EMFILE')]);
  });

  test('takes a name that is not found in time for a trouble of the hub, not for a miss (P5)', async () => {
    const prober = new Held();
    const hub = await startHub([{ ...quick, failures: 1, url: 'tcp://a.name:1' }], { ...prompt, prober });
    (await prober.polls.next()).answer(alive);
    prober.waitsFor = 'the name';
    expect(await hub.log.next()).toContain('no answer in 100 ms when its name was resolved');
    await prober.polls.nextOf(3);
    expect(hub.entry().status).toBe('online');
    prober.waitsFor = 'the answer';
    await hub.shows({ status: 'offline' });
    expect(hub.outage.all).toEqual(['42 began', '42 ended']);
  });

  test('lets no lease run out while the hub cannot poll, and gives nobody a later sign of life for it (P5)', async () => {
    const prober = new Held();
    const hub = await startHub([{ ...quick, failures: 2, url: 'tcp://127.0.0.1:1' }], { ...prompt, prober });
    (await prober.polls.next()).answer(alive);
    const { lastSignAt } = hub.session()!;
    const unable = async (): Promise<void> => {
      (await prober.polls.next()).answer({ kind: 'unable', reason: 'ENETUNREACH' });
    };
    await unable();
    for (let round = 0; round < 3; round++) {
      hub.aheadMs += 3_600_000;
      await unable();
      hub.presence.expire(hub.now(), 1000);
    }
    expect(hub.session()).toMatchObject({ phase: 'live', lastSignAt });
    // A miss before and a miss after are two.
    (await prober.polls.next()).answer({ kind: 'miss', reason: 'ECONNREFUSED' });
    await unable();
    (await prober.polls.next()).answer({ kind: 'miss', reason: 'ECONNREFUSED' });
    expect(hub.entry().status).toBe('offline');
    expect(hub.outage.all).toEqual(['42 began', '42 ended', '42 began', '42 ended']);
  });

  test('warns once while any target cannot be polled, not each time that one can', async () => {
    const polls = new Feed<number>();
    const prober: Pick<Prober, 'probe'> = {
      probe: (endpoint, onOutcome) => {
        const { port } = endpoint as { port: number };
        const answer = setImmediate(() => {
          onOutcome(port === 1 ? alive : { kind: 'unable', reason: 'EAI_AGAIN' });
          polls.push(port);
        });
        return () => {
          clearImmediate(answer);
          return 'the answer';
        };
      },
    };
    const targets = ['1', '2'].map((user) => ({ ...quick, user, url: `tcp://127.0.0.1:${user}` }));
    const hub = await startHub(targets, { ...prompt, prober });
    await polls.nextOf(10);
    expect(new Set(polls.all)).toEqual(new Set([1, 2]));
    expect(hub.log.all).toEqual([expect.stringContaining('EAI_AGAIN')]);
  });

  test('spreads polls a tenth to both sides of their rhythm', async () => {
    const roundMs = async (random: number): Promise<number> => {
      const prober = new Held();
      const hub = await startHub([{ ...patient, everyMs: 4000, url: 'tcp://127.0.0.1:1' }], {
        random: () => random,
        prober,
      });
      (await prober.polls.next()).answer(alive);
      const startedAt = hub.now().monoMs;
      await prober.polls.next();
      return hub.now().monoMs - startedAt;
    };
    const [early, late] = await Promise.all([roundMs(0), roundMs(0.999)]);
    // 3.6 s and 4.4 s, on a machine that may be busy.
    expect(early).toBeGreaterThan(3500);
    expect(late).toBeGreaterThan(early + 300);
  });
});

/** How many timers have been started and not been ended since. */
function countTimers(): () => number {
  const [set, clear] = [vi.spyOn(globalThis, 'setInterval'), vi.spyOn(globalThis, 'clearInterval')];
  endings.push(() => {
    set.mockRestore();
    clear.mockRestore();
  });
  return () => {
    const ended = new Set<unknown>(clear.mock.calls.map(([timer]) => timer));
    return set.mock.results.filter(({ value }) => !ended.has(value)).length;
  };
}

describe('a poller that stops', () => {
  test('leaves sessions as they are, and neither timer nor socket behind', async () => {
    const timers = countTimers();
    const cut = new Feed<boolean>();
    const target = await Answering.start(({ socket, url }, response) => {
      if (url === '/held') socket.on('close', () => cut.push(true));
      else response.end();
    });
    const held = target.requests.next((url) => url === '/held');
    const hub = await startHub([
      { ...quick, url: target.url },
      { ...patient, everyMs: 60_000, timeoutMs: 60_000, user: '7', url: `${target.url}/held` },
    ]);
    await Promise.all([held, hub.shows({ status: 'online' })]);
    expect(timers()).toBe(2);
    const closing = cut.next();
    await hub.poller.stop();
    await closing;
    expect(timers()).toBe(0);
    expect(hub.entry().status).toBe('online');
  });

  test('may be stopped before it has started', async () => {
    const timers = countTimers();
    const hub = new Hub([{ ...quick, url: 'tcp://127.0.0.1:1' }], { prober: new Held() });
    const started = hub.poller.start();
    await hub.poller.stop();
    await started;
    expect(timers()).toBe(0);
  });
});
