/** `presence-hub explain` and `presence-hub kick`, each against a real hub. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run as explainCommand } from '../../client/cli/commands/explain.ts';
import { run as kickCommand } from '../../client/cli/commands/kick.ts';
import { run as webhooksCommand } from '../../client/cli/commands/webhooks.ts';
import { testIo } from '../support/cli-io.ts';
import { explain, onlySession } from '../support/explain.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WEBHOOK_SECRET, WebhookReceiver } from '../support/webhook-receiver.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
beforeEach(async () => {
  hub = await startTestHub();
});
afterEach(() => hub.stop());

const running =
  (command: typeof explainCommand) =>
  async (...args: string[]) => {
    const io = testIo();
    const code = await command([...args, '--url', hub.addresses.http], io);
    return { code, out: io.stdout.text, err: io.stderr.text };
  };
const runExplain = running(explainCommand);
const runKick = running(kickCommand);
const runWebhooks = running(webhooksCommand);

describe('explain', () => {
  it('is a page that people read: the verdict, why, the sessions, and what happened', async () => {
    const phone = await WsClient.hello(hub.addresses.ws, { user: '42', device: 'phone', text: 'in a meeting' });
    hub.clock.pass(3000);
    await hub.request('POST', '/v1/heartbeat', { user: '42', status: 'busy', ttlMs: 60_000 });
    await hub.request('PUT', '/v1/users/42/blocks/7');
    hub.clock.pass(2000);
    const [first, second] = (await explain(hub, '42')).sessions;
    const { code, out, err } = await runExplain('42');
    expect([code, err]).toEqual([0, '']);
    const lines = out.split('\n').map((line) => line.replaceAll(/\d\d:\d\d:\d\d/g, 'HH:MM:SS'));
    expect(lines).toEqual([
      '42 is shown busy (code 3), for 2 s',
      '  because    busy wins over online and away',
      '  blocks     7: they see it as offline',
      '  text       in a meeting',
      '  last seen  2 s ago',
      '',
      'Sessions (* decides):',
      `   ${first?.id}  live  ws-json  phone  online (1)  127.0.0.1  connected 5 s ago  heartbeat 5 s ago  ends in 20 s  in a meeting`,
      `*  ${second?.id}  live  http     http   busy (3)    127.0.0.1  connected 2 s ago  heartbeat 2 s ago  ends in 58 s`,
      '',
      'Changes, newest first',
      `  HH:MM:SS  2 s ago  came  online > busy     http     ${second?.id}`,
      `  HH:MM:SS  5 s ago  came  offline > online  ws-json  ${first?.id}`,
      '  (kept since HH:MM:SS, 5 s ago)',
      '',
    ]);
    phone.close();
  });

  it('says that an address is only claimed, and where the connection comes from', async () => {
    const client = await LegacyClient.open(hub.tcpPort);
    client.write('<protocol user_id="42" user_ip="10.0.0.7" user_port="5222"></protocol>');
    await hub.until(async () => (await explain(hub, '42')).entry.status === 'online');
    const { out } = await runExplain('42');
    expect(out).toMatch(/ {2}10\.0\.0\.7:5222 \(claimed, connected from 127\.0\.0\.1:\d+\) {2}connected/);
    client.end();
  });

  it('of a user never seen says so', async () => {
    const { code, out } = await runExplain('never');
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 6)).toEqual([
      'never is shown offline (code -1)',
      '  because    nobody has ever seen this user, and it has no session',
      '  last seen  never',
      '',
      'No session.',
      '',
    ]);
  });

  it('says that a user is invisible, and moves no cursor for anybody’s text or device', async () => {
    const text = '\u001b[2Jgone\u202e';
    const client = await WsClient.hello(hub.addresses.ws, {
      user: '42',
      status: 'invisible',
      device: 'a\u202eb',
      text,
    });
    const { out } = await runExplain('42');
    expect(out).toContain('42 is shown offline (code -1)\n  because    its only session says invisible, and others');
    expect(out).toContain('\n  invisible  everyone else sees the user as offline\n');
    expect(out).toContain('\\u{1b}[2Jgone\\u{202e}');
    for (const character of ['\u001b', '\u202e']) expect(out).not.toContain(character);
    client.close();
  });

  it('with --json is what the hub answers', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: '42' });
    const { code, out } = await runExplain('42', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual(await explain(hub, '42'));
    expect(out.split('\n')).toHaveLength(2);
  });

  it.each([
    [['a b'], 'USER is "a b": it must be'],
    [[], 'USER is missing'],
    [['42', 'more'], '"more" is an extra argument'],
    [['42', '--jsn'], '--jsn is not a flag of this command'],
  ])('of %j asks for nothing, and says what is wrong', async (args, problem) => {
    const { code, out, err } = await runExplain(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(problem);
  });

  it('and kick print the remedy if no hub answers, or if the token is not sufficient', async () => {
    await hub.stop();
    for (const run of [() => runExplain('42'), () => runKick('42', 'x')]) {
      const { code, err } = await run();
      expect(code).toBe(1);
      expect(err).toContain(`no hub answers at ${hub.addresses.http}`);
    }
    hub = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: 'an-admin-token-for-tests' });
    const token = await tokenFor('42', { clock: hub.clock });
    for (const run of [runExplain, (...args: string[]) => runKick('42', ...args)]) {
      const last = run === runExplain ? '42' : 'x';
      expect((await run(last)).err).toMatch(/token/);
      expect(await run(last, '--token', token)).toMatchObject({ code: 1, out: '' });
    }
    expect(await runExplain('42', '--token', 'an-admin-token-for-tests')).toMatchObject({ code: 0 });
  });
});

describe('kick', () => {
  it('ends the session that explain shows, and says what is not there', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    const { id } = await onlySession(hub, '42');
    expect(await runKick('42', id)).toEqual({ code: 0, out: `session ${id} of 42 has ended\n`, err: '' });
    expect(await client.closed).toBe(4403);
    expect(await runKick('42', id)).toEqual({
      code: 1,
      out: '',
      err: `presence-hub: 42 has no session ${id}: presence-hub explain 42 lists its sessions\n`,
    });
    expect(await runKick('42', '../../friends/7?x=/\u001b')).toMatchObject({ code: 1, out: '' });
  });

  it('asks for both words, and no more', async () => {
    expect(await runKick('42')).toMatchObject({ code: 2, out: '' });
    expect((await runKick('42')).err).toContain('SESSION is missing');
    expect((await runKick('42', 'x', 'y')).err).toContain('"y" is an extra argument');
  });
});

describe('webhooks', () => {
  let receiver: WebhookReceiver;
  beforeEach(async () => {
    receiver = await WebhookReceiver.open();
    await hub.stop();
    hub = await startTestHub({ webhookUrl: receiver.url, webhookSecret: WEBHOOK_SECRET, webhookKeepMs: 1 });
  });
  afterEach(() => receiver.close());

  it('lists the rules with their queues, tests the receiver, and replays what is dead', async () => {
    receiver.answer = () => 500;
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: 60_000 });
    await hub.until(
      async () => (await hub.metric('presence_hub_webhook_events_total{rule="default",result="dead"}')) === 1,
    );
    expect((await runWebhooks()).out.split('\n')).toEqual([
      `default  ${receiver.url}`,
      '  reports    changes of status to online, away, busy, offline',
      '  queue      0 waiting, 1 dead (presence-hub webhooks --replay default)',
      '  failing    it answered 500',
      '',
    ]);
    const refused = await runWebhooks('--test', 'default');
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringContaining('did not accept the test: it answered 500') as string,
    });
    receiver.answer = () => 200;
    expect(await runWebhooks('--test', 'default')).toMatchObject({
      code: 0,
      out: 'the receiver of default accepted the test\n',
    });
    expect((await runWebhooks('--replay', 'default')).out).toBe('1 dead event of default will be sent again\n');
    await receiver.until(() => receiver.events.length === 1);
  });

  it('says what is wrong with a command line, and which rule there is not', async () => {
    expect(await runWebhooks('--test', 'a', '--replay', 'b')).toMatchObject({ code: 2 });
    expect(await runWebhooks('default')).toMatchObject({
      code: 2,
      err: expect.stringContaining('extra argument') as string,
    });
    expect((await runWebhooks('--replay', 'other')).err).toContain('there is no such rule');
  });
});
