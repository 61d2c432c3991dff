/**
 * The list of present users, and their number. Reads the query; `PresentUsers` knows who is listed. The listing shares
 * its path with the reading of given users: `GET /v1/presence?users=…`.
 */
import type { Counts, ListPage, ListQuery } from '../../../actions/present-users.ts';
import { mayList } from '../../../auth/policy.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Viewer } from '../../../presence/viewer.ts';
import { isUserId, USER_ID_FORM } from '../../../../shared/ids.ts';
import { MAX_LISTED } from '../../../../shared/limits.ts';
import { presentStatuses, type PresentStatus } from '../../../../shared/status.ts';
import { isWholeWithin } from '../../../../shared/result.ts';
import type { HttpReply } from '../../../sockets/port.ts';
import { bad } from '../read.ts';
import { json } from '../reply.ts';
import { aboutNobody, route, type Call, type Read, type Route } from '../route.ts';

export interface ListRoutesOptions {
  readonly list: (query: ListQuery, viewer: Viewer) => Promise<ListPage>;
  readonly counts: (viewer: Viewer) => Promise<Counts>;
  readonly isStale: (users: readonly string[], viewer: Viewer) => boolean;
  readonly clock: Clock;
}

export function listRoutes({ counts, clock }: Pick<ListRoutesOptions, 'counts' | 'clock'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/counts',
      isLong: true,
      about: aboutNobody,
      may: mayList,
      answer: async ({ viewer }) => {
        const { isStale, ...counted } = await counts(viewer);
        return json(JSON.stringify({ ...counted, at: clock.now().wallMs, ...(isStale && { stale: true }) }));
      },
    }),
  ];
}

const listParameters = ['status', 'prefix', 'limit', 'after'] as const;
const STATUS_FORM = `status: must be a list of ${presentStatuses.join(', ')}, separated by commas`;

/** Returns whether a query has a parameter of the listing. */
export function isListQuery({ query }: Call): boolean {
  return listParameters.some((name) => query.has(name));
}

export function readListQuery({ query }: Call): Read<ListQuery> {
  const [first, ...others] = listParameters.flatMap((name) => (query.getAll(name).length > 1 ? [name] : []));
  if (first !== undefined) return bad(`${[first, ...others].join(', ')}: must be given once`);
  const statuses = query.get('status')?.split(',') ?? presentStatuses;
  if (!statuses.every(isPresentStatus)) return bad(STATUS_FORM);
  const prefix = query.get('prefix') ?? '';
  if (!/^[A-Za-z0-9._@:-]{0,128}$/.test(prefix)) return bad('prefix: must be the beginning of a user id');
  const after = query.get('after') ?? '';
  if (query.has('after') && !isUserId(after))
    return bad(`after: must be the next of the previous page, which ${USER_ID_FORM}`);
  const limit = query.get('limit') ?? String(MAX_LISTED);
  if (!isWholeWithin(limit, 1, MAX_LISTED)) return bad(`limit: must be a whole number from 1 to ${MAX_LISTED}`);
  return { ok: true, value: { statuses: new Set(statuses), prefix, after, limit: Number(limit) } };
}

export async function answerList(
  { list, isStale }: Pick<ListRoutesOptions, 'list' | 'isStale'>,
  { viewer, chargeFor }: Call,
  query: ListQuery,
): Promise<HttpReply> {
  const { ids, entries, next } = await list(query, viewer);
  chargeFor(entries.length);
  const stale = isStale(ids, viewer) ? ',"stale":true' : '';
  return json(`{"entries":[${entries.join(',')}],"next":${JSON.stringify(next)}${stale}}`);
}

function isPresentStatus(text: string): text is PresentStatus {
  return (presentStatuses as readonly string[]).includes(text);
}
