/**
 * Prepares a run of clients that connect, watch and do nothing else: the watched users are online, and the hub has the
 * friend lists if they watch with `friendsOf`.
 */
import type { ConnectingClientsCommands } from '../roles/connecting-clients.ts';
import { Friends } from './friends.ts';
import { putFriends } from './hub-http.ts';
import { inParallel, sleep } from './pacing.ts';
import { startRole, type Role } from './roles.ts';
import type { Candidate, Server } from './server.ts';
import { HUB } from './comparison-results.ts';

export const crowdKnobs = {
  clients: { fallback: 10_000, least: 2, help: 'clients, each with a connection' },
  users: { fallback: 10_000, least: 1, help: 'users who are watched, online before' },
  friends: { fallback: 50, least: 1, help: 'users that each client watches' },
  ids: { fallback: 0, help: '1: the hub’s clients watch by ids instead of by their friend list' },
};
type Crowd = Readonly<Record<keyof typeof crowdKnobs, number>>;

const PUTS_AT_ONCE = 8;
const SETTLE_MS = 1500;

export async function startConnectingClients(
  server: Server,
  candidate: Candidate,
  crowd: Crowd,
): Promise<Role<ConnectingClientsCommands>> {
  const { clients, users, friends } = crowd;
  const isHub = candidate.name === HUB;
  const isByFriends = isHub && crowd.ids === 0;
  if (isByFriends) await putEdges(server.port, crowd);
  const connectingClients = startRole<ConnectingClientsCommands>(
    new URL('../roles/connecting-clients.js', import.meta.url),
  );
  await connectingClients.call('prepare', {
    port: server.port,
    wire: candidate.wire,
    clients,
    users,
    friends,
    isByFriends,
  });
  // A reference server has everybody online from the start.
  if (isHub) await connectingClients.call('bringOnline', { tcpPort: server.tcpPort, users });
  await sleep(SETTLE_MS);
  return connectingClients;
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
