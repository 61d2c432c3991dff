/**
 * Prepares a run of clients that connect, watch and do nothing else: the watched users are online, and the hub has the
 * friend lists if they watch with `friendsOf`.
 */
import type { ComersCommands } from '../roles/comers.ts';
import { Friends } from './friends.ts';
import { putFriends } from './hub-http.ts';
import { inParallel, sleep } from './pacing.ts';
import { startRole, type Role } from './roles.ts';
import type { Contender, Server } from './server.ts';
import { HUB } from './standings.ts';

export const crowdKnobs = {
  clients: { fallback: 10_000, least: 2, help: 'clients, each with a connection' },
  users: { fallback: 10_000, least: 1, help: 'users who are watched, online before' },
  friends: { fallback: 50, least: 1, help: 'users that each client watches' },
  ids: { fallback: 0, help: '1: the hub’s clients watch by ids instead of by their friend list' },
};
type Crowd = Readonly<Record<keyof typeof crowdKnobs, number>>;

const PUTS_AT_ONCE = 8;
const SETTLE_MS = 1500;

export async function startComers(server: Server, contender: Contender, crowd: Crowd): Promise<Role<ComersCommands>> {
  const { clients, users, friends } = crowd;
  const isHub = contender.name === HUB;
  const isByFriends = isHub && crowd.ids === 0;
  if (isByFriends) await putEdges(server.port, crowd);
  const comers = startRole<ComersCommands>(new URL('../roles/comers.js', import.meta.url));
  await comers.call('prepare', { port: server.port, wire: contender.wire, clients, users, friends, isByFriends });
  // A reference server has everybody online from the start.
  if (isHub) await comers.call('bringOnline', { tcpPort: server.tcpPort, users });
  await sleep(SETTLE_MS);
  return comers;
}

/** Each watcher follows its friends; of watchers and users as the roles name them. */
export async function putEdges(
  port: number,
  { clients, users, friends }: Pick<Crowd, 'clients' | 'users' | 'friends'>,
): Promise<void> {
  const table = new Friends(users, friends);
  const watchers = Array.from({ length: clients }, (_, watcher) => watcher);
  await inParallel(watchers, PUTS_AT_ONCE, async (watcher) => {
    const followed = table.allOf(watcher).map((user) => `u${user}`);
    await putFriends(port, `w${watcher}`, followed);
  });
}
