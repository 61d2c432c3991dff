/** Users whose sessions outlive their node are listed and counted by the nodes that are left (C8, C10, C11). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';

const TTL_MS = 600_000;

interface Present {
  readonly users: readonly string[];
  readonly counts: Readonly<Record<string, unknown>>;
}

describe('users whose node', needing('redis-server'), () => {
  let stage: ClusterStage;
  let hubs: ClusterHub[];

  beforeEach(async () => {
    stage = await ClusterStage.start({ HUB_NODE_LEASE_MS: '2000' });
    hubs = await stage.hubs(3);
  });
  afterEach(async () => {
    await endHubProcesses();
    await stage.stop();
  });

  const beat = async (hub: ClusterHub | undefined, user: string, fields: object = {}): Promise<void> => {
    expect(await ask(hub!, 'POST', '/v1/heartbeat', { user, ttlMs: TTL_MS, ...fields })).toMatchObject({ status: 200 });
  };
  /** What each of these nodes lists, in pages, and counts. Undefined while one cannot. */
  const present = (of: readonly ClusterHub[]): Promise<(Present | undefined)[]> =>
    Promise.all(
      of.map(async (hub) => {
        const users: string[] = [];
        for (let after: string | null = ''; after !== null;) {
          const { status, body } = await ask(
            hub,
            'GET',
            `/v1/presence?limit=3${after === '' ? '' : `&after=${after}`}`,
          );
          if (status !== 200) return undefined;
          const page = body as { entries: { user: string; status: string }[]; next: string | null };
          users.push(...page.entries.map((entry) => `${entry.user} ${entry.status}`));
          after = page.next;
        }
        const { status, body } = await ask(hub, 'GET', '/v1/counts');
        if (status !== 200) return undefined;
        const { online, away, busy, sessions } = body as Record<string, unknown>;
        return { users, counts: { online, away, busy, http: (sessions as Record<string, unknown>)['http'] } };
      }),
    );

  it.each(['SIGTERM', 'SIGKILL'] as const)('ended by %s stay in the list and the counts, each once', async (signal) => {
    const [a, b, c] = hubs;
    const left = [a!, b!];
    const [first, second] = ['1', '2'].map((name) => `gone-${name}`) as [string, string];
    // Lists are asked for before, so that the index of each node exists.
    await present(hubs);
    await beat(a, 'on-a');
    await beat(b, 'on-b', { status: 'away' });
    await beat(c, 'on-both', { device: 'one', status: 'busy' });
    await beat(a, 'on-both', { device: 'two' });
    await beat(c, 'hidden', { status: 'invisible' });
    for (const user of [first, second]) await beat(c, user, { status: 'busy' });
    const all = {
      users: [`${first} busy`, `${second} busy`, 'on-a online', 'on-b away', 'on-both busy'],
      counts: { online: 1, away: 1, busy: 3, http: 6 },
    };
    expect(await present(hubs)).toEqual([all, all, all]);
    c!.process.child.kill(signal);
    await c!.process.exited;
    const isKnown = async (): Promise<boolean> => !(await present(left)).includes(undefined);
    await expect.poll(isKnown, { timeout: 20_000 }).toBe(true);
    expect(await present(left)).toEqual([all, all]);
    // One continues elsewhere, and one ends.
    await beat(b, first, { status: 'online' });
    await ask(a!, 'POST', '/v1/heartbeat', { user: second, status: 'offline' });
    const rest = {
      users: [`${first} online`, 'on-a online', 'on-b away', 'on-both busy'],
      counts: { online: 2, away: 1, busy: 1, http: 5 },
    };
    await expect.poll(() => present(left)).toEqual([rest, rest]);
    // So it stays when every node has looked at the users of all buckets.
    await new Promise((resolve) => setTimeout(resolve, 6000));
    expect(await present(left)).toEqual([rest, rest]);
  });
});
