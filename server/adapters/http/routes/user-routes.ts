/** Everything that is stored of a user over HTTP: its export and its erasure. */
import { mayAdmin, mayExport } from '../../../auth/policy.ts';
import type { ExportReader } from '../../../actions/export-user.ts';
import type { Identity } from '../../../auth/identity.ts';
import { durably } from '../durably.ts';
import { readUser } from '../read.ts';
import { noContent, problem, streamedJson } from '../reply.ts';
import { route, type Route } from '../route.ts';

/** An export is charged for as many users as there are entries of this length in it. */
const CHARS_A_USER = 150;

export interface UserRoutesOptions {
  /** Reads everything that is stored of the user and that the reader may know, as parts of one JSON object. */
  readonly exportOf: (user: string, reader: ExportReader) => AsyncGenerator<string, void, void>;
  /**
   * @returns false if the user is erased, but its files can be cleaned only later. Rejects if storage fails. Null in a
   * cluster without a database: nobody can find the blocks that others have set.
   */
  readonly erase: ((user: string) => Promise<boolean>) | null;
  /** HUB_LAST_SEEN=hide */
  readonly hidesLastSeen: boolean;
}

export function userRoutes({ exportOf, erase, hidesLastSeen }: UserRoutesOptions): Route[] {
  const readerOf = (identity: Identity, isAdmin: boolean): ExportReader => {
    if (isAdmin) return 'all';
    return mayExport({ ...identity, user: null }, '', hidesLastSeen) ? 'all_without_addresses' : 'self';
  };
  return [
    route({
      method: 'GET',
      path: '/v1/users/{user}/export',
      isLong: true,
      about: (call) => readUser(call, 'user'),
      may: (identity, user) => mayExport(identity, user, hidesLastSeen),
      answer: ({ identity, viewer, chargeFor }, user) =>
        streamedJson(charged(exportOf(user, readerOf(identity, viewer.isAdmin)), chargeFor)),
    }),
    route({
      method: 'DELETE',
      path: '/v1/users/{user}',
      isAudited: true,
      about: (call) => readUser(call, 'user'),
      may: mayAdmin,
      answer: (_, user) => {
        if (erase === null)
          return problem('not_implemented', 'user: a cluster erases users only if HUB_DATABASE_URL is set');
        return durably(
          async () => ((await erase(user)) ? noContent() : notClean(user)),
          'the user may be erased only in part',
        );
      },
    }),
  ];
}

/** Charges each part for its length. */
async function* charged(
  parts: AsyncGenerator<string, void, void>,
  chargeFor: (users: number) => void,
): AsyncGenerator<string, void, void> {
  for await (const part of parts) {
    chargeFor(part.length / CHARS_A_USER);
    yield part;
  }
}

function notClean(user: string) {
  return problem(
    'storage_failed',
    `storage: ${user} is erased, but its files still hold it while another program reads them; that completes by itself`,
    { 'retry-after': '1' },
  );
}
