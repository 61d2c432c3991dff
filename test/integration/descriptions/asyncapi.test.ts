/** GET /asyncapi.json: the validator accepts it, and every message of both directions is as it says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientMessages, parseClientMessage } from '../../../shared/messages/client-messages.ts';
import { hubMessages } from '../../../shared/messages/hub-messages.ts';
import { startTestHub, type TestHub } from '../../support/hub.ts';
import { checker, type Description, type FaultsOf } from '../../support/json-schema.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';

interface AsyncApi extends Description {
  readonly channels: { readonly socket: { readonly address: string; readonly messages: object } };
  readonly operations: Readonly<
    Record<'receive' | 'send', { readonly messages: readonly { readonly $ref: string }[] }>
  >;
}

describe('GET /asyncapi.json', () => {
  let data: string;
  let hub: TestHub;
  let messages: AsyncApi;
  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'hub-asyncapi-'));
    hub = await startTestHub({ data, drainMs: 1000 });
    messages = (await hub.request('GET', '/asyncapi.json')).body as AsyncApi;
  });
  afterAll(async () => {
    await hub.stop();
    rmSync(data, { recursive: true, force: true });
  });

  /** The names of the messages of this form, among those of one direction. */
  const formsOf = (faultsOf: FaultsOf, direction: 'receive' | 'send', message: unknown): string[] =>
    messages.operations[direction].messages
      .map(({ $ref }) => $ref.split('/').at(-1)!)
      .filter((name) => faultsOf(name, message).length === 0);

  it('is valid AsyncAPI 3', needing('AsyncAPI parser'), async () => {
    const require = createRequire(new URL('../../validators/package.json', import.meta.url));
    const { Parser } = require('@asyncapi/parser') as {
      Parser: new () => { parse(text: string): Promise<{ document?: object; diagnostics: { severity: number }[] }> };
    };
    const { document, diagnostics } = await new Parser().parse(JSON.stringify(messages));
    expect(document).toBeDefined();
    // 0 is an error, 1 a warning. What is below says that there is a newer version of AsyncAPI.
    expect(diagnostics.filter(({ severity }) => severity <= 1)).toEqual([]);
  });

  it('has every message once', () => {
    expect(messages.channels.socket.address).toBe('/ws');
    expect(messages.operations.receive.messages).toHaveLength(Object.keys(clientMessages).length);
    expect(messages.operations.send.messages).toHaveLength(Object.keys(hubMessages).length);
  });

  it('accepts and refuses the same messages of clients as the hub', () => {
    const faultsOf = checker(messages, 7, false);
    const sent: readonly object[] = [
      { type: 'hello', user: '42', device: 'web', status: 'invisible', text: 'é', self: true, id: 1, more: true },
      { type: 'hello', observe: true },
      { type: 'hello' },
      { type: 'hello', user: 42 },
      { type: 'hello', user: '.' },
      { type: 'hello', observe: true, status: 'online' },
      { type: 'hello', user: '42', text: 'x'.repeat(141) },
      { type: 'hello', user: '42', device: '' },
      { type: 'heartbeat', status: 'away', text: '', id: 'a' },
      { type: 'heartbeat', status: 'offline' },
      { type: 'heartbeat', id: null },
      { type: 'watch', friendsOf: '42', since: 1 },
      { type: 'watch', users: ['7', '9'], since: 0 },
      { type: 'watch', users: ['7'], since: -1 },
      { type: 'watch', users: [] },
      { type: 'watch', users: ['7'], friendsOf: '42' },
      { type: 'watch', users: Array.from({ length: 1001 }, (_, i) => `u${i}`) },
      { type: 'unwatch', friendsOf: '42' },
      { type: 'unwatch', users: ['7'] },
      { type: 'unwatch' },
      { type: 'token', token: 't' },
      { type: 'token' },
      { type: 'tail', match: '4' },
      { type: 'tail', match: '' },
      { type: 'untail' },
      { type: 'bye' },
      { type: 'nonsense' },
    ];
    const accepted = sent.map((message) => formsOf(faultsOf, 'receive', message));
    expect(accepted.map((forms) => forms.length > 0)).toEqual(
      sent.map((message) => parseClientMessage(JSON.stringify(message)).ok),
    );
    expect(new Set(accepted.flat()).size).toBe(messages.operations.receive.messages.length);
  });

  it('has every message of a running hub, in every field (H44)', async () => {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const me = await WsClient.hello(hub.addresses.ws, { user: '42', text: 'here', self: true });
    me.send({ type: 'tail', id: 1 });
    me.send({ type: 'watch', id: 'f', friendsOf: '42' });
    me.send({ type: 'watch', users: ['7'] });
    await me.next('snapshot', (one) => 'users' in one);
    me.send({ type: 'heartbeat', id: 2, status: 'away' });
    await hub.request('POST', '/v1/heartbeat', { user: '7', device: 'cron', ttlMs: 600_000 });
    await me.entryOf('7');
    await me.next('tail');
    await hub.request('PUT', '/v1/users/42/friends/9');
    await me.next('friend');
    await hub.request('DELETE', '/v1/users/42/friends/9');
    await me.next('friend', ({ op }) => op === 'remove');
    me.send({ type: 'watch', friendsOf: '42', since: hub.clock.wallMs * 64 });
    me.send({ type: 'unwatch', friendsOf: '42' });
    me.send({ type: 'unwatch', users: ['7'] });
    await me.next('unwatched', (one) => 'users' in one);
    me.send({ type: 'nonsense', id: 3 });
    await me.next('error');
    const wallMs = hub.clock.wallMs + 1000;
    const drained = hub.drain();
    await me.next('reconnect');
    me.close();
    await drained;
    hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
    const next = await WsClient.hello(hub.addresses.ws, { observe: true });
    await next.next('stale');
    hub.clock.pass(20_000);
    await next.roundTrip();
    hub.clock.pass(10_000);
    await next.next('fresh');

    const faultsOf = checker(messages, 7, true);
    const raw = [...me.raw, ...next.raw];
    const forms = raw.map((message) => ({ message, forms: formsOf(faultsOf, 'send', message) }));
    expect(forms.filter((one) => one.forms.length !== 1)).toEqual([]);
    const seen = new Set(forms.flatMap((one) => one.forms));
    expect(seen.size, [...seen].join()).toBe(messages.operations.send.messages.length);
  });
});
