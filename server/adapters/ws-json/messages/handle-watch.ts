/**
 * Handles watches: checks the policy and the limit, then registers the watch with fan-out, or answers with the reason
 * for its refusal. A watch is refused as a whole, and the refusal never depends on whether a user exists. A long watch
 * may wait for a loop turn with enough budget; later messages of the connection then wait too.
 */
import type { Unwatch, Watch } from '../../../../shared/messages/client-messages.ts';
import { USERS_PER_UNIT } from '../../../../shared/limits.ts';
import type { Identity } from '../../../auth/identity.ts';
import { askedForWatch, mayWatchAnyone, mayWatchFriendsOf, mayWatchUsers } from '../../../auth/policy.ts';
import type { Outbox } from '../../../fanout/delivery/outbox.ts';
import type { Viewer } from '../../../presence/viewer.ts';
import type { ConnectionControl } from '../connection-control.ts';
import type { ConnectionContext } from '../context.ts';

/** Watches of up to this many users, as nearly all are, never wait for a turn. */
const SMALL_WATCH = 128;
/** The same limit if storage must be asked for each user whether it is a friend. That costs three times as much. */
const FEW_LOOK_UPS = 16;
const LOOK_UP_COST = 3;

/** @returns what the connection's next message must wait for; undefined if the watch has been answered. */
export function watch(
  context: ConnectionContext,
  connection: ConnectionControl,
  identityNow: () => Identity,
  message: Watch,
): Promise<void> | undefined {
  // A list of ids is looked up in storage before it is allowed, so it waits for its turn first.
  if ('friendsOf' in message && !isAllowed(context, connection, identityNow(), message)) return undefined;
  const prepared =
    'friendsOf' in message
      ? context.fanout.prepare(message.friendsOf, connection.outbox.viewer)
      : ready(context, identityNow(), message.users);
  const beginIfAllowed = (): void => {
    // In the meantime the connection may have ended, or a fresh token may allow less.
    if (connection.isOpen && isAllowed(context, connection, identityNow(), message))
      begin(context, connection, message);
  };
  if (prepared !== undefined) return prepared.then(beginIfAllowed);
  beginIfAllowed();
  return undefined;
}

/** Loads the friends that decide, takes a turn for their look-up, and loads the users. */
function ready(context: ConnectionContext, identity: Identity, users: readonly string[]): Promise<void> | undefined {
  const loaded = loadAsked(context, identity);
  const turn = (): Promise<void> | undefined => turnFor(context, identity, users.length);
  const loadUsers = (): Promise<void> | undefined => context.peers.load(users);
  const decided = loaded === undefined ? turn() : loaded.then(turn);
  return decided === undefined ? loadUsers() : decided.then(loadUsers);
}

function loadAsked({ loadFriends }: ConnectionContext, identity: Identity): Promise<void> | undefined {
  const asked = askedForWatch(identity);
  return asked === null ? undefined : loadFriends(asked);
}

function turnFor({ workTurns }: ConnectionContext, identity: Identity, users: number): Promise<void> | undefined {
  if (mayWatchAnyone(identity)) return users > SMALL_WATCH ? workTurns.take(users) : undefined;
  return users > FEW_LOOK_UPS ? workTurns.take(LOOK_UP_COST * users) : undefined;
}

/** Whether the connection may have this watch. If not, answers with the reason. */
function isAllowed(
  context: ConnectionContext,
  connection: ConnectionControl,
  identity: Identity,
  message: Watch,
): boolean {
  const { friendLookUp, limits, onRefused } = context;
  const mayWatch =
    'friendsOf' in message
      ? mayWatchFriendsOf(identity, message.friendsOf)
      : mayWatchUsers(identity, message.users, friendLookUp(message.users.length));
  if (!mayWatch) {
    onRefused('forbidden');
    chargeRefused(connection, message);
    const what = 'friendsOf' in message ? 'friendsOf: must be your own user' : 'users: must be you and your friends';
    connection.error('forbidden', `${what}, unless the token allows more`, message.id);
    return false;
  }
  if (!isWithinLimit(context, connection.outbox, message)) {
    onRefused('watches');
    chargeRefused(connection, message);
    connection.error(
      'too_many',
      `more than ${limits.maxWatches} watches on one connection: end some first`,
      message.id,
    );
    return false;
  }
  return true;
}

/** Charges for a refused watch, because each of its users may have been looked up. */
function chargeRefused(connection: ConnectionControl, message: Watch): void {
  if (!('friendsOf' in message)) connection.charge(message.users.length / USERS_PER_UNIT);
}

function begin({ fanout }: ConnectionContext, { outbox }: ConnectionControl, message: Watch): void {
  if ('friendsOf' in message) fanout.watchFriends(outbox, message.friendsOf, message.since, message.id);
  else fanout.watchUsers(outbox, message.users, message.since, message.id);
}

/** Whether the watch fits the limit. Users that are already watched do not count again. */
function isWithinLimit({ fanout, limits }: ConnectionContext, outbox: Outbox, message: Watch): boolean {
  const { maxWatches } = limits;
  if (!('friendsOf' in message)) {
    // Usually all of them fit, and then it does not matter which are already watched.
    return (
      outbox.watchCount + message.users.length <= maxWatches ||
      fanout.watchCountWith(outbox, message.users) <= maxWatches
    );
  }
  return outbox.watchCount < maxWatches || fanout.watchesFriendsOf(outbox, message.friendsOf);
}

export function unwatch({ fanout }: ConnectionContext, { outbox }: ConnectionControl, message: Unwatch): void {
  if ('friendsOf' in message) fanout.unwatchFriends(outbox, message.friendsOf, message.id);
  else fanout.unwatchUsers(outbox, message.users, message.id);
}

/** Maximum watches that end in one turn of the loop. */
const ENDED_AT_ONCE = 1000;

/**
 * Applies the rights of a fresh token: ends the watches that it no longer allows, over several turns of the loop if
 * there are many, and then calls `onChanged`. Rejects if storage fails. Watches that have not ended by then stay as they
 * were.
 */
export async function changeRights(
  context: ConnectionContext,
  connection: ConnectionControl,
  { identity, viewer }: { readonly identity: Identity; readonly viewer: Viewer },
  onChanged: () => void,
): Promise<void> {
  const { fanout, friendLookUp, workTurns } = context;
  const { outbox } = connection;
  const { mayObserve, isAdmin } = outbox.viewer;
  const allowsLess = (mayObserve && !viewer.mayObserve) || (isAdmin && !viewer.isAdmin);
  if (allowsLess) connection.charge(outbox.watchCount / USERS_PER_UNIT);
  const isGone = (): boolean => !connection.isOpen;
  const loaded = allowsLess ? loadAsked(context, identity) : undefined;
  if (loaded !== undefined) await loaded;
  if (isGone()) return;
  for (let isMore = allowsLess; isMore;) {
    // Asks again each time, because a friendship may have ended meanwhile.
    const isFriend = friendLookUp(outbox.users.size);
    const mayWatch = {
      friendsOf: (owner: string) => mayWatchFriendsOf(identity, owner),
      user: (id: string) => mayWatchUsers(identity, [id], isFriend),
    };
    isMore = fanout.endNotAllowed(outbox, mayWatch, ENDED_AT_ONCE) === ENDED_AT_ONCE;
    if (isMore) await workTurns.take(ENDED_AT_ONCE);
    if (isGone()) return;
  }
  // In the same step as the last check, so that nothing forbidden can be watched in between.
  fanout.changeViewer(outbox, viewer);
  onChanged();
}
