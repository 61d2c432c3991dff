/**
 * Uptime against the truth, while the hub is killed, restarted and stopped. Clients say how they are, and the test notes
 * when. The hub may not know some of it, but what it states must be so. The title contains the seed; `UPTIME_SEED`
 * repeats the changes and faults.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { seededRandom } from '../../client/cli/demo/random.ts';
import { uptimeAnswer } from '../../shared/messages/http-bodies.ts';
import { endHubProcesses, startHubProcess, startLine, type HubProcess } from '../support/hub-process.ts';

const SEED = Number(process.env['UPTIME_SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env['UPTIME_ROUNDS'] ?? 6);
const USERS = ['a', 'b', 'c'] as const;
const STATUSES = ['online', 'away', 'busy', 'offline'] as const;
const STOPPED_MS = 2500;
/** A signal takes a moment. */
const STOPPING_MS = 100;

type Status = (typeof STATUSES)[number];
interface Span {
  readonly from: number;
  readonly to: number;
}

const data = mkdtempSync(join(tmpdir(), 'hub-uptime-'));
afterAll(async () => {
  await endHubProcesses();
  rmSync(data, { recursive: true, force: true });
});

class Stage {
  hub: HubProcess | undefined;
  #url = '';
  /** How each client has said it is, since when the hub has answered that, and until when nothing else was asked. */
  readonly truth: { readonly user: string; readonly status: Status; readonly from: number; to: number }[] = [];
  /** When no hub ran, or it stood still. */
  readonly unseen: Span[] = [];
  readonly #now = new Map<string, Status>();

  async start(): Promise<void> {
    this.hub = startHubProcess({ HUB_DATA: data, HUB_HISTORY_DAYS: '1', HUB_WARM_MS: '300' });
    this.#url = startLine(await this.hub.started, 'page').replace(/\/$/, '');
    for (const [user, status] of this.#now) await this.say(user, status);
  }

  async say(user: string, status: Status): Promise<void> {
    this.end(user);
    const body = JSON.stringify({ user, status, ttlMs: 600_000 });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${this.#url}/v1/heartbeat`, { method: 'POST', headers, body });
    expect(answer.status).toBe(200);
    this.#now.set(user, status);
    this.truth.push({ user, status, from: Date.now(), to: Infinity });
  }

  /** What a client said is no longer so, or the hub may not know it. */
  end(user: string): void {
    const last = this.truth.findLast((one) => one.user === user);
    if (last !== undefined) last.to = Math.min(last.to, Date.now());
  }

  async restart(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    for (const user of USERS) this.end(user);
    const killedAt = Date.now();
    this.hub?.child.kill(signal);
    await this.hub?.exited;
    const from = signal === 'SIGKILL' ? killedAt : Date.now();
    await delay(200);
    this.unseen.push({ from, to: Date.now() });
    await this.start();
  }

  async stop(): Promise<void> {
    this.hub?.child.kill('SIGSTOP');
    await delay(STOPPING_MS);
    const from = Date.now();
    await delay(STOPPED_MS);
    this.unseen.push({ from, to: Date.now() });
    this.hub?.child.kill('SIGCONT');
  }

  async uptime(user: string, { from, to }: Span): Promise<Record<Status | 'unknown', number>> {
    const answer = await fetch(`${this.#url}/v1/users/${user}/uptime?from=${from}&to=${to}`);
    const sums = uptimeAnswer.parse(await answer.json());
    const { onlineMs: online, awayMs: away, busyMs: busy, offlineMs: offline, unknownMs: unknown } = sums;
    expect(online + away + busy + offline + unknown).toBe(to - from);
    return { online, away, busy, offline, unknown };
  }
}

it(
  `states only what was so, and is unknown whenever no hub ran or it stood still (UPTIME_SEED=${SEED}) (H33)`,
  { timeout: 240_000 },
  async () => {
    const random = seededRandom(SEED);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const stage = new Stage();
    const beganAt = Date.now();
    await stage.start();
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < 10; i++) {
        await stage.say(pick(USERS), pick(STATUSES));
        await delay(60 + 100 * random()); // Changes within 50 ms count as one.
      }
      const fault = pick(['SIGKILL', 'SIGTERM', 'stop'] as const);
      if (fault === 'stop') await stage.stop();
      else await stage.restart(fault);
    }
    await delay(1000);
    for (const user of USERS) {
      stage.end(user);
      for (const span of stage.unseen)
        expect([user, span, (await stage.uptime(user, span)).unknown]).toEqual([user, span, span.to - span.from]);
    }
    for (const { user, status, ...span } of stage.truth) {
      const { unknown: _, [status]: __, ...others } = await stage.uptime(user, span);
      expect([user, status, span, others]).toEqual([
        user,
        status,
        span,
        Object.fromEntries(Object.keys(others).map((one) => [one, 0])),
      ]);
    }
    // The test would say nothing about a hub that knows nothing.
    const all = await Promise.all(USERS.map((user) => stage.uptime(user, { from: beganAt, to: Date.now() })));
    expect(all.some(({ online, away, busy }) => online + away + busy > 1000)).toBe(true);
  },
);
