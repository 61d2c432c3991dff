/** The model of growth: what follows from its costs alone. */
import { describe, expect, it } from 'vitest';
import { changesPerS, endOfBroadcast, planFor, type Costs, type Crowd } from '../bench/lib/growth-model.ts';

const costs: Costs = {
  ...{ change: 10, publish: 20, receive: 4, deliver: 5, heartbeat: 9 },
  ...{ redisChange: 20, redisReceive: 0.5, redisBytes: 600 },
};
const limits = { atMost: 0.5, usersPerHub: 100_000 };
const crowd = (users: number): Crowd => ({ users, friends: 20, changesPerMinute: 0.2, heartbeatEveryS: 10 });

describe('the growth model', () => {
  it('needs one hub and no Redis for few users', () => {
    expect(planFor(crowd(10_000), costs, limits, 'broadcast')).toMatchObject({ hubs: 1, shards: 0, receiving: 0 });
  });

  it('uses no hub and no shard above its limit', () => {
    for (const users of [5e5, 1e6, 1e7]) {
      const plan = planFor(crowd(users), costs, limits, 'broadcast')!;
      expect(plan.hubLoad).toBeLessThanOrEqual(0.5);
      expect(plan.hubs).toBeGreaterThanOrEqual(users / limits.usersPerHub);
      const perShard = (changesPerS(crowd(users)) * (20 + plan.hubs * 0.5)) / 1e6 / plan.shards;
      expect(perShard).toBeLessThanOrEqual(0.5);
    }
  });

  it('finds no number of hubs beyond the end of broadcasting, and one just before it', () => {
    const end = endOfBroadcast(crowd(0), costs, limits);
    expect(end).toBeCloseTo(37_500_000, -3);
    expect(planFor(crowd(end * 1.01), costs, limits, 'broadcast')).toBeUndefined();
    expect(planFor(crowd(end * 0.9), costs, limits, 'broadcast')).toBeDefined();
  });

  it('lets a hub receive only changes of its users with interest routing, so that more hubs help', () => {
    const plan = planFor(crowd(1e8), costs, limits, 'interest')!;
    expect(plan.receiving).toBeLessThan((changesPerS(crowd(1e8)) * 4 * 21) / 1e6 / plan.hubs);
    expect(plan.hubLoad).toBeLessThanOrEqual(0.5);
  });
});
