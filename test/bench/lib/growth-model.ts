/**
 * How many hubs and Redis shards a number of users needs, from the costs of single operations. Pure: measures nothing and
 * prints nothing. Compares two ways to distribute changes: every hub receives every change (built), or only changes
 * of the users that it holds (not built).
 */

/** Microseconds of one core. */
export interface Costs {
  /** A change on a hub that is alone, without its deliveries. */
  readonly change: number;
  /** What a cluster adds to it on the hub that makes it. */
  readonly publish: number;
  /** A change of another hub. */
  readonly receive: number;
  /** One change at one watcher. */
  readonly deliver: number;
  readonly heartbeat: number;
  /** Costs of the Redis shard: a change that no hub receives, and each hub that receives it. */
  readonly redisChange: number;
  readonly redisReceive: number;
  /** Bytes of Redis's memory for a present user. */
  readonly redisBytes: number;
}

export interface Crowd {
  readonly users: number;
  /** Friends of each who are connected and watch. */
  readonly friends: number;
  /** Of one user. */
  readonly changesPerMinute: number;
  readonly heartbeatEveryS: number;
}

export interface Limits {
  /** Of one core of a hub, and of the thread of a Redis shard. */
  readonly atMost: number;
  readonly usersPerHub: number;
}

export type Routing = 'broadcast' | 'interest';

export interface Plan {
  readonly hubs: number;
  readonly shards: number;
  /** Share of a hub's core: all its work, and the part for receiving changes. */
  readonly hubLoad: number;
  readonly receiving: number;
  readonly redisGb: number;
}

const US_PER_S = 1e6;

export function changesPerS({ users, changesPerMinute }: Crowd): number {
  return (users * changesPerMinute) / 60;
}

/** How many of `hubs` hold a watcher of one user, if watchers are spread evenly. */
function receivingHubs(routing: Routing, hubs: number, friends: number): number {
  return routing === 'broadcast' ? hubs : hubs * (1 - (1 - 1 / hubs) ** friends);
}

function loadOf(crowd: Crowd, costs: Costs, routing: Routing, hubs: number): { receiving: number; hubLoad: number } {
  const rate = changesPerS(crowd);
  const isAlone = hubs === 1;
  const own = costs.change + crowd.friends * costs.deliver + (isAlone ? 0 : costs.publish);
  const received = (rate * receivingHubs(routing, hubs, crowd.friends)) / hubs;
  const receiving = isAlone ? 0 : (received * (1 - 1 / hubs) * costs.receive) / US_PER_S;
  const beats = (crowd.users / crowd.heartbeatEveryS / hubs) * costs.heartbeat;
  return { receiving, hubLoad: receiving + (beats + (rate / hubs) * own) / US_PER_S };
}

/** @returns undefined if no number of hubs is enough, because receiving alone takes more than a hub may use. */
export function planFor(crowd: Crowd, costs: Costs, limits: Limits, routing: Routing): Plan | undefined {
  const rate = changesPerS(crowd);
  const enough = (hubs: number): boolean => loadOf(crowd, costs, routing, hubs).hubLoad <= limits.atMost;
  const most = Math.max(2, crowd.users);
  let hubs = Math.max(1, Math.ceil(crowd.users / limits.usersPerHub));
  if (!enough(hubs)) {
    if (!enough(most)) return undefined;
    let [few, many] = [hubs, most];
    while (many - few > 1) {
      const middle = Math.floor((few + many) / 2);
      if (enough(middle)) many = middle;
      else few = middle;
    }
    hubs = many;
  }
  const perChange = costs.redisChange + receivingHubs(routing, hubs, crowd.friends) * costs.redisReceive;
  const shards = hubs === 1 ? 0 : Math.max(1, Math.ceil((rate * perChange) / US_PER_S / limits.atMost));
  const redisGb = hubs === 1 ? 0 : (crowd.users * costs.redisBytes) / 1e9;
  return { hubs, shards, redisGb, ...loadOf(crowd, costs, routing, hubs) };
}

/** The number of users from which broadcasting stops working, because receiving alone takes all that a hub may use. */
export function endOfBroadcast(crowd: Omit<Crowd, 'users'>, costs: Costs, { atMost }: Limits): number {
  return (60 * atMost * US_PER_S) / (costs.receive * crowd.changesPerMinute);
}
