/** GET /openapi.json: a validator accepts it, and every answer of a running hub is as it says. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { routeWords } from '../../../server/adapters/http/description/route-words.ts';
import { ask, type Asked } from '../../support/ask.ts';
import { startTestHub, type TestHub } from '../../support/hub.ts';
import { checker, type Description, type FaultsOf } from '../../support/json-schema.ts';
import { WebhookReceiver, WEBHOOK_SECRET } from '../../support/webhook-receiver.ts';
import { WsClient } from '../../support/ws-client.ts';

const redocly = fileURLToPath(new URL('../../../node_modules/@redocly/cli/bin/cli.js', import.meta.url));

interface Referred {
  readonly $ref: string;
}
interface Operation {
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Referred } } };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: Referred }>> }>>;
}
interface OpenApi extends Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly webhooks: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const ADMIN = 'an-admin-token-for-tests';

describe('GET /openapi.json', () => {
  let hub: TestHub;
  let receiver: WebhookReceiver;
  let folder: string;
  let api: OpenApi;
  let faultsOf: FaultsOf;
  const asAdmin = (method: string, path: string, asked: Asked = {}) =>
    ask(hub.addresses.http, method, path, { token: ADMIN, ...asked });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hub-openapi-'));
    receiver = await WebhookReceiver.open();
    hub = await startTestHub({
      ...{ adminToken: ADMIN, historyDays: 1, maxFriends: 4 },
      ...{ webhookUrl: receiver.url, webhookSecret: WEBHOOK_SECRET },
    });
    api = (await asAdmin('GET', '/openapi.json')).body as OpenApi;
    faultsOf = checker(api, 2020, true);
  });
  afterAll(async () => {
    await hub.stop();
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is valid OpenAPI 3.1, and the linter of Redocly has nothing to say', () => {
    const file = join(folder, 'openapi.json');
    writeFileSync(file, JSON.stringify(api));
    // Health and descriptions have no error of the client's.
    const args = [redocly, 'lint', file, '--extends', 'recommended', '--skip-rule', 'operation-4xx-response'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, '--format', 'json'], {
      encoding: 'utf8',
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    });
    expect(status, stderr).toBe(0);
    const { totals, problems } = JSON.parse(stdout) as { totals: Record<string, number>; problems: unknown[] };
    expect(problems).toEqual([]);
    expect(totals).toMatchObject({ errors: 0, warnings: 0 });
  });

  it('says what every route answers, in every field (H44)', async () => {
    const phone = await WsClient.hello(hub.addresses.ws, { user: '42', device: 'phone', text: 'here' });
    const { session } = phone.all[0] as { session: string };
    const body = (json: unknown): Asked => ({ body: json });
    /** Each request stands on those before it. */
    const requests: readonly (readonly [route: string, path?: string | undefined, asked?: Asked])[] = [
      ['POST /v1/heartbeat', undefined, body({ user: '7', device: 'cron', status: 'busy', text: 'a', ttlMs: 60_000 })],
      ['PUT /v1/users/{user}/friends', '/v1/users/42/friends?oneway=false', body({ friends: ['7', '8'] })],
      ['PUT /v1/users/{user}/friends/{friend}', '/v1/users/42/friends/9'],
      ['POST /v1/friends/import', undefined, body({ edges: [['42', 'bot']] })],
      ['POST /v1/users/{user}/friends/refresh', '/v1/users/42/friends/refresh'],
      ['GET /v1/users/{user}/friends', '/v1/users/42/friends'],
      ['GET /v1/users/{user}/friends/presence', '/v1/users/42/friends/presence'],
      ['DELETE /v1/users/{user}/friends/{friend}', '/v1/users/42/friends/9'],
      ['GET /v1/presence/{user}', '/v1/presence/42'],
      ['GET /v1/presence/{user}', '/v1/presence/never-seen'],
      ['GET /v1/presence', '/v1/presence?users=7,42,never-seen'],
      ['GET /v1/presence', '/v1/presence?status=online,busy&limit=1'],
      ['POST /v1/presence', undefined, body({ users: ['7'] })],
      ['GET /v1/counts'],
      ['PUT /v1/users/{user}/blocks/{other}', '/v1/users/42/blocks/8'],
      ['GET /v1/users/{user}/explain', '/v1/users/42/explain'],
      ['DELETE /v1/users/{user}/sessions/{session}', `/v1/users/42/sessions/${session}`],
      ['GET /v1/users/{user}/history', '/v1/users/42/history?limit=1'],
      ['GET /v1/users/{user}/uptime', '/v1/users/42/uptime'],
      ['GET /v1/users/{user}/export', '/v1/users/42/export'],
      ['DELETE /v1/users/{user}/blocks/{other}', '/v1/users/42/blocks/8'],
      ['GET /v1/webhooks'],
      ['POST /v1/webhooks/{rule}/test', '/v1/webhooks/default/test'],
      ['POST /v1/webhooks/{rule}/replay', '/v1/webhooks/default/replay'],
      ['DELETE /v1/users/{user}', '/v1/users/42'],
      ['GET /healthz'],
      ['GET /readyz'],
      ['GET /metrics'],
      ['GET /openapi.json'],
      ['GET /asyncapi.json'],
    ];
    for (const [route, path = route.split(' ')[1]!, asked] of requests) {
      const [method = '', template = ''] = route.split(' ');
      const operation = api.paths[template]![method.toLowerCase()]!;
      const sent = operation.requestBody?.content['application/json'].schema;
      if (sent !== undefined) expect(faultsOf(nameOf(sent), asked?.body), route).toEqual([]);
      const answer = await asAdmin(method, path, asked);
      const described = operation.responses[String(answer.status)];
      expect(described, `${route} ${JSON.stringify(answer.body)}`).toBeDefined();
      const contentType = String(answer.headers['content-type'] ?? '').split(';')[0]!;
      if (answer.status === 204) expect(described?.content).toBeUndefined();
      else if (contentType === 'text/plain') expect(described?.content).toHaveProperty([contentType]);
      else expect(faultsOf(nameOf(described!.content![contentType]!.schema), answer.body), route).toEqual([]);
    }
    expect(new Set(requests.map(([route]) => route))).toEqual(new Set(Object.keys(routeWords)));
  });

  it('says how every error looks', async () => {
    const friends = Array.from({ length: 5 }, (_, i) => `friend${i}`);
    const wrong: readonly (readonly [number, string, string, Asked?])[] = [
      [400, 'GET', '/v1/presence/a%20b'],
      [401, 'GET', '/v1/users/42/explain', { token: 'a-wrong-token-of-somebody' }],
      [403, 'GET', '/v1/presence/42', { headers: { host: 'elsewhere.example' } }],
      [404, 'DELETE', '/v1/users/42/sessions/nothing'],
      [405, 'PATCH', '/v1/presence/42'],
      [409, 'PUT', '/v1/users/42/friends', { body: { friends } }],
      [413, 'POST', '/v1/presence', { body: { users: ['x'.repeat(300_000)] } }],
    ];
    for (const [status, method, path, asked] of wrong) {
      const answer = await asAdmin(method, path, asked);
      expect(answer.status).toBe(status);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(faultsOf('Problem', answer.body)).toEqual([]);
    }
  });

  it('describes what receivers of webhooks get', async () => {
    const formOf = (name: string) =>
      nameOf(api.webhooks[name]!['post']!.requestBody!.content['application/json'].schema);
    await asAdmin('POST', '/v1/heartbeat', { body: { user: 'watched', status: 'away' } });
    await receiver.until(() => receiver.eventsOf('watched').length > 0);
    await asAdmin('POST', '/v1/webhooks/default/test');
    const bodies = receiver.messages.map(({ body }) => JSON.parse(body) as { type: string });
    for (const body of bodies) {
      const name = body.type === 'presence.changed' ? 'presenceChanged' : 'presenceTest';
      expect(faultsOf(formOf(name), body)).toEqual([]);
    }
    expect(new Set(bodies.map(({ type }) => type))).toEqual(new Set(['presence.changed', 'presence.test']));
  });

  it('refuses what the hub refuses', () => {
    expect(faultsOf('HeartbeatBody', { user: '..' })).not.toEqual([]);
    expect(faultsOf('HeartbeatBody', { user: '42', status: 'asleep' })).not.toEqual([]);
    expect(faultsOf('HeartbeatBody', { user: '42', device: 'a\u0007' })).not.toEqual([]);
    expect(faultsOf('PresenceBody', { users: [] })).not.toEqual([]);
    expect(faultsOf('EntryAnswer', { entry: { user: '42' } })).not.toEqual([]);
  });
});

function nameOf({ $ref }: Referred): string {
  return $ref.replace('#/components/schemas/', '');
}
