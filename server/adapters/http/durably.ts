/** Changes that must be stored before they are answered. If storage fails, the answer is 503 with the reason. */
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { HttpReply } from '../../sockets/port.ts';
import { problem } from './reply.ts';
import type { Reply } from './route.ts';

/**
 * `change` must throw `StorageUnavailable` if storage fails. `outcome` says what has become of the change then. Any other
 * error is a bug and is rethrown.
 */
export async function durably(change: () => Reply, outcome = 'the change was not made'): Promise<HttpReply> {
  try {
    return await change();
  } catch (error) {
    if (!(error instanceof StorageUnavailable)) throw error;
    return unavailable(error, outcome);
  }
}

export function unavailable(error: StorageUnavailable, outcome: string): HttpReply {
  return problem('storage_failed', `storage: it ${error.reason}, so ${error.outcome ?? outcome}; try again`, {
    'retry-after': '1',
  });
}
