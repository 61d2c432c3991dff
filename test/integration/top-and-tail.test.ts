/** `presence-hub top` and `presence-hub tail`, each against a real hub. */
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run as tailCommand } from '../../client/cli/commands/tail.ts';
import { run as topCommand } from '../../client/cli/commands/top.ts';
import { testIo } from '../support/cli-io.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

let hub: TestHub;
beforeEach(async () => {
  hub = await startTestHub();
});
afterEach(() => hub.stop());

const beat = (user: string, status = 'online', text = '') =>
  hub.request('POST', '/v1/heartbeat', { user, status, text, ttlMs: 60_000 });
const beginTop = (args: readonly string[], options: Parameters<typeof testIo>[0] = {}) => {
  const io = testIo(options);
  return { io, code: topCommand(['--url', hub.addresses.http, '--every', '1', ...args], io) };
};

describe('top', () => {
  it('--once prints one measurement: users, sessions and rates', async () => {
    await beat('42');
    await beat('7', 'busy');
    const { io, code } = beginTop(['--once']);
    await beat('8', 'away');
    expect([await code, io.stderr.text]).toEqual([0, '']);
    expect(io.stdout.lines[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+ {3}20\d\d-/);
    expect(io.stdout.lines).toContain('Users           online 1   away 1   busy 1');
    expect(io.stdout.lines).toContain('Sessions        tcp-xml 0   ws-json 0   http 3   poll 0');
    expect(io.stdout.text).toMatch(/\nHeartbeats {6}.*http [\d.]+\/s/);
    expect(io.stdout.text).not.toContain('Refusals'); // there is none
  });

  it('--json prints one object per measurement, until Ctrl-C', async () => {
    await beat('42');
    const { io, code } = beginTop(['--json']);
    await io.stdout.until(/\n.*\n/);
    io.interrupt();
    expect(await code).toBe(0);
    for (const line of io.stdout.lines) {
      expect(JSON.parse(line)).toMatchObject({
        at: expect.any(Number) as number,
        users: { online: 1, away: 0, busy: 0 },
        measures: { sessions: { http: 1 }, changes: { changes: 0 } },
      });
    }
  });

  it('on a terminal it redraws one screen, and leaves it as it was', async () => {
    const { io, code } = beginTop([], { isTTY: true });
    await io.stdout.until(/Sessions/);
    io.interrupt();
    expect(await code).toBe(0);
    expect(io.stdout.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  });

  it('with a token for the metrics alone shows all but the users', async () => {
    const token = 'a-token-for-the-metrics';
    const other = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET, metricsToken: token });
    const io = testIo();
    expect(await topCommand(['--once', '--every', '1', '--url', other.addresses.http, '--token', token], io)).toBe(0);
    expect(io.stdout.text).not.toContain('Users');
    expect(io.stdout.text).toContain('Sessions');
    const refused = testIo();
    expect(await topCommand(['--once', '--url', other.addresses.http], refused)).toBe(1);
    expect(refused.stderr.text).toContain('the hub requires a token');
    await other.stop();
  });

  it('prints the problem if no hub answers', async () => {
    const server = createServer((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const io = testIo();
    expect(await topCommand(['--once', '--url', `http://127.0.0.1:${port}`], io)).toBe(1);
    expect(io.stderr.text).toContain('is not a hub');
    server.closeAllConnections();
    server.close();
    const nobody = testIo();
    expect(await topCommand(['--once', '--url', `http://127.0.0.1:${port}`], nobody)).toBe(1);
    expect(nobody.stderr.text).toContain('no hub answers at');
    expect(await topCommand(['--every', '0'], testIo())).toBe(2);
  });
});

describe('tail', () => {
  const begin = (...args: string[]) => {
    const io = testIo();
    return { io, code: tailCommand(['--url', hub.addresses.http, ...args], io) };
  };
  /** Changes the user until the first change is printed, because nothing says when the tail begins. */
  const untilTailed = async ({ io }: ReturnType<typeof begin>, user: string): Promise<void> => {
    for (let n = 0; io.stdout.text === ''; n++) {
      await beat(user, 'online', `${n}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };

  it('prints a line per change with its cause, until Ctrl-C', async () => {
    const { io, code } = begin();
    await untilTailed({ io, code }, '1');
    await beat('42', 'busy', 'in a\tmeeting');
    await io.stdout.until(/\t42\t/);
    await beat('42', 'offline');
    await io.stdout.until(/\t42\tbusy\toffline/);
    io.interrupt();
    expect([await code, io.stderr.text]).toEqual([0, '']);
    const ofUser = io.stdout.lines.filter((line) => line.includes('\t42\t')).map((line) => line.split('\t').slice(1));
    expect(ofUser).toEqual([
      ['42', 'offline', 'busy', 'came', 'http', 'http', 'in a\\u{9}meeting'],
      ['42', 'busy', 'offline', 'left', 'http', '', ''],
    ]);
  });

  it('with MATCH and --json prints those users only, as the hub says it', async () => {
    const { io, code } = begin('bot-', '--json');
    await beat('42');
    await untilTailed({ io, code }, 'bot-1');
    io.interrupt();
    expect(await code).toBe(0);
    for (const line of io.stdout.lines) expect(JSON.parse(line)).toMatchObject({ entry: { user: 'bot-1' } });
  });

  it('is for admins only, with a message; and reports if no hub answers', async () => {
    const other = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET });
    const token = await tokenFor('42', { scopes: ['observe'], clock: other.clock });
    const io = testIo();
    expect(await tailCommand(['--url', other.addresses.http, '--token', token], io)).toBe(1);
    expect(io.stderr.text).toMatch(/the hub does not allow that .* admin to change/);
    await other.stop();
    const nobody = testIo();
    expect(await tailCommand(['--url', other.addresses.http], nobody)).toBe(1);
    expect(nobody.stderr.text).toContain('no hub answers at');
  });
});
