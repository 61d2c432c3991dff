import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, parseClientMessage, type ClientMessageType } from '../../../shared/messages/client-messages.ts';
import { parseFields } from '../../../shared/messages/json.ts';

/** What is said of a message that is no message: its code, and the problem, which begins with the field. */
function fault(message: unknown): { code: string; problem: string } | undefined {
  const read = parseClientMessage(typeof message === 'string' ? message : JSON.stringify(message));
  return read.ok ? undefined : { code: read.code, problem: read.problem };
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `user-${i}`);

describe('a message of the contract', () => {
  it.each<[string, object]>([
    ['a hello with a user alone', { type: 'hello', user: '42' }],
    [
      'a hello with everything',
      {
        type: 'hello',
        id: 1,
        user: '42',
        token: 't',
        device: 'web',
        status: 'invisible',
        text: 'in a meeting',
        self: true,
        observe: false,
      },
    ],
    ['an observer’s hello without a user', { type: 'hello', observe: true }],
    ['an observer’s hello with a user', { type: 'hello', id: 'a', observe: true, user: '42', token: 't', self: false }],
    ['a heartbeat that changes nothing', { type: 'heartbeat' }],
    ['a heartbeat that changes the status', { type: 'heartbeat', status: 'busy' }],
    ['a heartbeat that clears the text', { type: 'heartbeat', text: '' }],
    ['a watch of friends', { type: 'watch', friendsOf: '42' }],
    ['a watch of friends since an instant', { type: 'watch', id: 'w', friendsOf: '42', since: 1767225600001 }],
    ['a watch of users', { type: 'watch', users: ['7', '9'] }],
    ['a watch of users since the beginning', { type: 'watch', users: ['7'], since: 0 }],
    ['an unwatch of friends', { type: 'unwatch', friendsOf: '42' }],
    ['an unwatch of users', { type: 'unwatch', users: ['7'] }],
    ['a token', { type: 'token', token: 'eyJ' }],
    ['a bye', { type: 'bye' }],
  ])('is read as it stands: %s', (_what, message) => {
    expect(parseClientMessage(JSON.stringify(message))).toEqual({ ok: true, message });
  });

  it('may have fields that nobody knows (W3)', () => {
    const read = parseClientMessage('{"type":"bye","reason":"lunch","__proto__":{"type":"hello"}}');
    expect(read).toEqual({ ok: true, message: { type: 'bye' } });
  });

  it('may carry any string or number as its id (W2)', () => {
    for (const id of ['', 'a', 0, -1, 1.5]) {
      expect(parseClientMessage(JSON.stringify({ type: 'bye', id }))).toEqual({
        ok: true,
        message: { type: 'bye', id },
      });
    }
  });

  it('turns a list into a set: a repeated id counts once, at its first position', () => {
    const read = parseClientMessage('{"type":"watch","users":["9","7","9"]}');
    expect(read).toMatchObject({ ok: true, message: { users: ['9', '7'] } });
  });

  it('may name 1000 users', () => {
    expect(fault({ type: 'watch', users: ids(1000) })).toBeUndefined();
  });
});

describe('a message that is not of its form', () => {
  it.each<[string, object, string]>([
    ['a hello without a user', { type: 'hello' }, 'user'],
    ['a hello whose user is a number', { type: 'hello', user: 42 }, 'user'],
    ['a hello whose user is empty', { type: 'hello', user: '' }, 'user'],
    ['a hello whose user is two dots', { type: 'hello', user: '..' }, 'user'],
    ['a hello with an empty device', { type: 'hello', user: '42', device: '' }, 'device'],
    ['a hello that says offline', { type: 'hello', user: '42', status: 'offline' }, 'status'],
    ['a hello with no text at all', { type: 'hello', user: '42', text: null }, 'text'],
    ['a hello with a long text', { type: 'hello', user: '42', text: 'x'.repeat(141) }, 'text'],
    ['a hello with a token that is none', { type: 'hello', user: '42', token: 1 }, 'token'],
    ['a hello whose self is a word', { type: 'hello', user: '42', self: 'yes' }, 'self'],
    ['a hello whose observe is a word', { type: 'hello', user: '42', observe: 'yes' }, 'observe'],
    ['an observer with a status', { type: 'hello', observe: true, status: 'online' }, 'status'],
    ['an observer with a bad user', { type: 'hello', observe: true, user: 'a b' }, 'user'],
    ['a heartbeat with an unknown status', { type: 'heartbeat', status: 'idle' }, 'status'],
    ['a heartbeat with a long text', { type: 'heartbeat', text: 'x'.repeat(141) }, 'text'],
    ['a watch of nobody', { type: 'watch' }, 'users'],
    ['a watch of an empty list', { type: 'watch', users: [] }, 'users'],
    ['a watch of 1001 users', { type: 'watch', users: ids(1001) }, 'users'],
    ['a watch of one user that is no list', { type: 'watch', users: '7' }, 'users'],
    ['a watch of a bad user among good ones', { type: 'watch', users: ['7', 'a b'] }, 'users.1'],
    ['a watch of friends and users', { type: 'watch', friendsOf: '42', users: ['7'] }, 'users'],
    ['a watch of the friends of a bad user', { type: 'watch', friendsOf: 'a/b' }, 'friendsOf'],
    ['a watch since a time before all times', { type: 'watch', friendsOf: '42', since: -1 }, 'since'],
    ['a watch since half a millisecond', { type: 'watch', friendsOf: '42', since: 0.5 }, 'since'],
    ['a watch since 2^53', { type: 'watch', users: ['7'], since: 2 ** 53 }, 'since'],
    ['a watch since a text', { type: 'watch', users: ['7'], since: '1' }, 'since'],
    ['an unwatch of nobody', { type: 'unwatch' }, 'users'],
    ['an unwatch of friends and users', { type: 'unwatch', friendsOf: '42', users: ['7'] }, 'users'],
    ['an unwatch of an empty list', { type: 'unwatch', users: [] }, 'users'],
    ['a token without a token', { type: 'token' }, 'token'],
    ['an id that is an object', { type: 'bye', id: {} }, 'id'],
    ['an id that is null', { type: 'heartbeat', id: null }, 'id'],
  ])('is refused with its field named: %s', (_what, message, field) => {
    const { code, problem } = fault(message) ?? {};
    expect(code).toBe('bad_message');
    expect(problem?.split(':')[0]).toBe(field);
    expect(problem).toMatch(/^[\w.]+: must /);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{"type":"bye"'],
    ['a list', '[]'],
    ['a text', '"bye"'],
    ['null', 'null'],
    ['two objects', '{"type":"bye"}{"type":"bye"}'],
  ])('is refused if it is not a JSON object: %s', (_what, json) => {
    expect(fault(json)).toEqual({ code: 'bad_message', problem: 'the message must be one JSON object' });
  });

  it('is refused if its type is missing or no text', () => {
    expect(fault({ user: '42' })).toEqual({ code: 'bad_message', problem: 'type: must be a string' });
    expect(fault({ type: 1 })?.problem).toBe('type: must be a string');
  });

  it('is distinguished from one of a type that nobody knows (W3)', () => {
    for (const type of ['poke', 'toString', '__proto__', 'constructor', '']) {
      expect(fault({ type })?.code).toBe('unknown_type');
    }
  });

  it('is answered with its id if that is valid, and with its type if that is known', () => {
    expect(parseClientMessage('{"type":"watch","id":"w"}')).toMatchObject({ re: 'w', type: 'watch' });
    expect(parseClientMessage('{"type":"poke","id":7}')).toMatchObject({ re: 7, type: undefined });
    expect(parseClientMessage('{"type":"bye","id":[]}')).toMatchObject({ re: undefined, type: 'bye' });
  });
});

describe('whatever comes over the wire', () => {
  const types: readonly ClientMessageType[] = ['hello', 'heartbeat', 'watch', 'unwatch', 'token', 'bye'];
  const fields = ['id', 'user', 'token', 'device', 'status', 'text', 'self', 'observe', 'friendsOf', 'users', 'since'];
  // Lone surrogates included.
  const unit = fc.nat(0xffff).map((code) => String.fromCharCode(code));
  const nearMiss = fc
    .dictionary(fc.constantFrom(...fields), fc.jsonValue(), { maxKeys: 6 })
    .chain((given) => fc.constantFrom(...types).map((type) => ({ ...given, type })));

  it('is read or refused in words, and never throws: any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit }), fc.json()), (json) => {
        const read = parseClientMessage(json);
        if (!read.ok) expect(read.problem).not.toBe('');
      }),
    );
  });

  it('is read or refused in words, and never throws: messages with anything in their fields', () => {
    fc.assert(
      fc.property(nearMiss, (message) => {
        const read = parseClientMessage(JSON.stringify(message));
        if (read.ok) expect(read.message.type).toBe(message.type);
        else expect(read.problem).toMatch(/^[\w.]+: must /);
      }),
    );
  });
});

describe('a message that is known without the schemas', () => {
  /** Fields that are right, nearly right and wrong. */
  const user = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('7', '9', 'a.b', '42') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', '.', '..', 'a b', 'é', 'x'.repeat(128), 'x'.repeat(129), 7, null, ['7']),
    },
  );
  const fewUsers = fc.array(user, { maxLength: 4 });
  const users = fc.oneof(
    { weight: 12, arbitrary: fewUsers },
    {
      weight: 1,
      arbitrary: fc.constantFrom<unknown>(ids(1000), ids(1001), [...ids(999), '.'], {}, '7', null, { length: 1 }),
    },
  );
  const re = fc.constantFrom<unknown>('w', '', 0, -1.5, null, true, {});
  const instant = fc.constantFrom<unknown>(0, 1767225600001, 2 ** 53, 2 ** 53 - 1, -1, 1.5, '1', null);
  const friendsOf = fc.constantFrom<unknown>('42', '', null);
  const watch = fc.record(
    { type: fc.constant('watch'), users, id: re, since: instant },
    { requiredKeys: ['type', 'users'] },
  );
  const anyWatch = fc.record(
    { type: fc.constantFrom('watch', 'unwatch'), users, friendsOf, id: re, more: user },
    { requiredKeys: ['type', 'users'] },
  );
  const hello = fc.record(
    {
      type: fc.constant('hello'),
      user,
      id: re,
      device: fc.constantFrom('web', 'lab', '', 'x'.repeat(65), 'a\u0007', 7, null),
      token: fc.constantFrom('t', '', 7, null),
      self: fc.constantFrom(true, false, null),
      status: fc.constantFrom('away', 'gone', null),
      observe: fc.constantFrom(true, false, null),
      text: fc.constantFrom('hi', null),
    },
    { requiredKeys: ['type', 'user'] },
  );
  const plainHello = fc.record(
    {
      type: fc.constant('hello'),
      user,
      id: re,
      device: fc.constantFrom('web', 'lab', 'x'.repeat(65)),
      token: fc.constantFrom('t', 7),
    },
    { requiredKeys: ['type', 'user'] },
  );
  const heartbeat = fc.record(
    { type: fc.constant('heartbeat'), id: re, status: fc.constantFrom('away', 'gone'), text: fc.string() },
    { requiredKeys: ['type'] },
  );
  const json = fc.oneof(
    { weight: 2, arbitrary: fc.constant('{"type":"heartbeat"}') },
    { weight: 4, arbitrary: watch.map((message) => JSON.stringify(message)) },
    { weight: 1, arbitrary: hello.map((message) => JSON.stringify(message)) },
    { weight: 2, arbitrary: plainHello.map((message) => JSON.stringify(message)) },
    { weight: 2, arbitrary: anyWatch.map((message) => JSON.stringify(message)) },
    { weight: 1, arbitrary: heartbeat.map((message) => JSON.stringify(message)) },
    { weight: 1, arbitrary: fc.constant('{"type":"watch","users":["7"],"id":1e999,"since":-0}') },
  );
  /** Some characters less, more or other; most frames stay as they are. */
  const cut = fc.record({
    at: fc.nat(60),
    drop: fc.nat(2),
    put: fc.constantFrom('', ' ', '"', ',', '}', '\\u0061', 'x', '[', '0'),
  });
  const frame = fc
    .tuple(json, fc.array(cut, { maxLength: 2 }))
    .map(([text, cuts]) =>
      cuts.reduce((left, { at, drop, put }) => left.slice(0, at) + put + left.slice(at + drop), text),
    );

  it('is read as the schemas read it, whatever comes', { timeout: 120_000 }, () => {
    let known = 0;
    fc.assert(
      fc.property(frame, (text) => {
        const read = parseClientMessage(text);
        const judged = judge(parseFields(text));
        if (read.ok) known++;
        if (!isDeepStrictEqual(read, judged)) expect(read, text).toStrictEqual(judged);
      }),
      { numRuns: 100_000 },
    );
    expect(known).toBeGreaterThan(10_000);
  });
});
