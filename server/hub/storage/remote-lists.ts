/**
 * Opens friend lists that are stored outside HUB_DATA, and joins them to fan-out. What they need is loaded only if a
 * setting asks for it.
 */
import { RosterEdits } from '../../actions/edit-friends.ts';
import type { Fanout } from '../../fanout/fanout.ts';
import { QuietLog } from '../../lib/log/quiet-log.ts';
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { CachedRosterOptions } from '../../roster/cached-roster.ts';
import type { ListEdits } from '../../roster/port.ts';
import type { ListListener, RemoteLists } from '../../roster/remote.ts';
import type { HubContext } from '../context.ts';
import type { Storage } from './open-storage.ts';

/** Nodes of a cluster report a change of a list at slightly different times on their hub clocks. */
const SLACK_MS = 5000;

/** @returns null if friend lists are in HUB_DATA. @throws {StartError} with one sentence for the operator. */
export async function openRemoteLists(context: HubContext): Promise<RemoteLists | null> {
  const { roster: place, maxFriends, redisUrl } = context.config;
  if (place === 'sqlite') return null;
  const url = new URL(place);
  const onHealth = logHealth(context, `HUB_ROSTER (${url.protocol}//${url.host})`);
  const slackMs = redisUrl === null ? 0 : SLACK_MS;
  const cache = { slackMs, monoMs: () => context.clock.now().monoMs, onHealth };
  const isPostgres = url.protocol.startsWith('postgres');
  const lists = await (isPostgres
    ? openPostgres(context, place, cache)
    : openServiceLists(context, url, maxFriends, cache));
  context.onStop(() => lists.stop());
  return lists;
}

type CacheOptions = Pick<CachedRosterOptions, 'slackMs' | 'monoMs' | 'onHealth'>;

async function openPostgres({ config, node }: HubContext, url: string, cache: CacheOptions): Promise<RemoteLists> {
  const { openPostgresLists } = await import('../../roster/postgres/postgres-lists.ts');
  return openPostgresLists({ ...cache, url, node, maxFriends: config.maxFriends });
}

async function openServiceLists(
  { config, clock, log }: HubContext,
  url: URL,
  maxFriends: number,
  cache: CacheOptions,
): Promise<RemoteLists> {
  const { serviceLists } = await import('../../roster/service/service-lists.ts');
  const quiet = new QuietLog(clock);
  return serviceLists({
    ...cache,
    url,
    maxFriends,
    token: config.rosterToken,
    ttlMs: config.rosterTtlMs,
    onBadAnswer: (user, why) => {
      quiet.maybe((leftOut) => {
        log.warn({ user, leftOut }, `HUB_ROSTER: an answer was ignored, and the last good list stays in use: ${why}`);
      });
    },
  });
}

function logHealth({ log }: HubContext, what: string): CacheOptions['onHealth'] {
  return (error) => {
    if (error === undefined) log.info(`${what} works again`);
    else log.error({ err: error }, `${what} ${error.reason}; presence continues with the lists in memory`);
  };
}

/** The edits of friend lists, wherever they are stored. */
export function buildListEdits(
  { config, clock, onStop }: HubContext,
  { storedRoster, remoteLists, versions, health }: Storage,
  fanout: Fanout,
  turns: TurnBudget,
): ListEdits {
  const now = (): number => versions.now(clock.now().wallMs);
  if (remoteLists !== null) {
    remoteLists.start(listenerFor(fanout, now));
    return remoteLists.edits;
  }
  if (storedRoster === null) throw new Error('there are no friend lists');
  const onHealth = (error: unknown): void => health.report('friend lists', error);
  const edits = new RosterEdits({ roster: storedRoster, fanout, turns, limits: config, now, onHealth });
  onStop(() => edits.stop());
  return edits;
}

function listenerFor(fanout: Fanout, now: () => number): ListListener {
  return {
    now,
    isInUse: (user) => fanout.usesList(user),
    changed: (change) => {
      const atMs = now();
      const owners = [...change.added, ...change.removed].map(({ user }) => user);
      return { atMs, notified: fanout.beginListEdit(atMs, owners).stored(change) };
    },
  };
}
