/**
 * A hub that is killed in the middle of its work, again and again (issue: "Kill -9 and start again"): what was answered
 * is there, what was sent is not taken back, versions grow. `CRASH_ROUNDS` says how often; CI does fifty.
 * The title contains the seed; `CRASH_SEED` repeats its changes and waits, though not the moment that a kill finds them in.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { seededRandom, type Random } from '../../client/cli/demo/random.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { WsClient } from '../support/ws-client.ts';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? (process.env['CI'] === 'true' ? 50 : 6));
const SEED = Number(process.env['CRASH_SEED'] ?? Date.now() % 2 ** 31);
const CHANGES = 200;
const USERS = 40;
const STORED_AFTER_MS = 250;

const data = mkdtempSync(join(tmpdir(), 'hub-crash-'));
afterAll(async () => {
  await endHubProcesses();
  rmSync(data, { recursive: true, force: true });
});

/** What was sent to the outside, over all rounds. */
interface Reported {
  /** The largest version of each user. */
  readonly versions: Map<string, number>;
  /** The lastSeen of each user, and when it was reported. */
  readonly seen: Map<string, { lastSeen: number; reportedAt: number }>;
  /** The state of each edge `a>b` whose last edit was answered; absent while one is under way. */
  readonly edges: Map<string, boolean>;
  lastAt: number;
}

it(
  `keeps every answered edge, every reported entry and growing versions over ${ROUNDS} kills (CRASH_SEED=${SEED}) (I18, L15, H7)`,
  { timeout: 300_000 },
  async () => {
    const reported: Reported = { versions: new Map(), seen: new Map(), edges: new Map(), lastAt: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const random = seededRandom(SEED + round);
      const hub = startHubProcess({ HUB_DATA: data });
      const url = startLine(await hub.started, 'page').replace(/\/$/, '');
      await checkReports(url, reported);
      const watcher = await watchAll(url, reported);
      const changes = change(url, reported, round, random);
      if (round % 2 === 0) {
        await changes;
        await delay(random() * 400);
      } else {
        // In the middle of it, and in the very moment of a change that has just been reported.
        await Promise.race([changes, watcher.waitForMessages(Math.ceil(random() * 60))]);
      }
      const killedAt = Date.now();
      hub.child.kill('SIGKILL');
      await Promise.allSettled([changes, hub.exited, watcher.closed]);
      for (const [user, { reportedAt }] of reported.seen)
        if (reportedAt > killedAt - STORED_AFTER_MS) reported.seen.delete(user);
    }
  },
);

async function checkReports(url: string, reported: Reported): Promise<void> {
  const users = Array.from({ length: USERS }, (_, i) => `u${i}`);
  const answer = await fetch(`${url}/v1/presence?users=${users.join(',')}`);
  const { entries } = (await answer.json()) as { entries: Entry[] };
  for (const entry of entries) {
    const version = reported.versions.get(entry.user);
    if (version !== undefined) expect(entry.v, `version of ${entry.user}`).toBeGreaterThan(version);
    const seen = reported.seen.get(entry.user);
    if (seen !== undefined) expect(entry.lastSeen, `lastSeen of ${entry.user}`).toBeGreaterThanOrEqual(seen.lastSeen);
    remember(reported, entry);
  }
  const lists = new Map<string, string[]>();
  for (const [edge, isThere] of reported.edges) {
    const [user = '', friend = ''] = edge.split('>');
    if (!lists.has(user)) {
      const list = (await (await fetch(`${url}/v1/users/${user}/friends`)).json()) as { friends: string[] };
      lists.set(user, list.friends);
    }
    expect(lists.get(user)?.includes(friend), `edge ${edge}`).toBe(isThere);
  }
}

async function watchAll(url: string, reported: Reported): Promise<WsClient> {
  const watcher = await WsClient.hello(`${url.replace('http', 'ws')}/ws`, { observe: true });
  watcher.onMessage((message) => {
    if (message.type === 'presence') for (const entry of message.entries) remember(reported, entry);
    if ('at' in message && message.at !== undefined) reported.lastAt = message.at;
  });
  if (reported.lastAt > 0) {
    watcher.send({ type: 'watch', users: ['u0'], since: reported.lastAt });
    expect(await watcher.next('snapshot'), 'a since from before an unclean end').not.toHaveProperty('since');
  }
  watcher.send({ type: 'watch', users: Array.from({ length: USERS }, (_, i) => `u${i}`) });
  await watcher.next('snapshot');
  return watcher;
}

/** 200 changes, ten under way at once: heartbeats with another text, friends made and ended. */
async function change(url: string, reported: Reported, round: number, random: Random): Promise<void> {
  const user = () => `u${Math.floor(random() * USERS)}`;
  for (let i = 0; i < CHANGES; i += 10) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, k) => {
        if (k % 2 === 0) {
          const body = JSON.stringify({ user: user(), text: `${round}.${i}.${k}` });
          const answer = await fetch(`${url}/v1/heartbeat`, { method: 'POST', body });
          remember(reported, ((await answer.json()) as { entry: Entry }).entry);
        } else {
          await editEdge(url, reported, `u${(i + k) % USERS}`, `f${k}`, random() < 0.6);
        }
      }),
    );
  }
}

async function editEdge(url: string, reported: Reported, user: string, friend: string, makes: boolean): Promise<void> {
  reported.edges.delete(`${user}>${friend}`);
  reported.edges.delete(`${friend}>${user}`);
  const { status } = await fetch(`${url}/v1/users/${user}/friends/${friend}`, { method: makes ? 'PUT' : 'DELETE' });
  expect(status).toBe(204);
  reported.edges.set(`${user}>${friend}`, makes);
  reported.edges.set(`${friend}>${user}`, makes);
}

function remember(reported: Reported, entry: Entry): void {
  if (entry.v === 0) return;
  reported.versions.set(entry.user, Math.max(reported.versions.get(entry.user) ?? 0, entry.v));
  if (entry.lastSeen !== null) reported.seen.set(entry.user, { lastSeen: entry.lastSeen, reportedAt: Date.now() });
}
