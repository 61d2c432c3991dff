/** Changes that must be stored before they are answered: where storage can't take one, it is 503 and says why. */
import { describeTrouble, isSqlError } from '../lib/sqlite.ts';
import type { HttpReply } from '../sockets/port.ts';
import { problem } from './reply.ts';
import type { Reply } from './route.ts';

/** `change` throws where storage can't take it; nothing has changed then. Any other error is a bug, and thrown on. */
export async function durably(change: () => Reply): Promise<HttpReply> {
  try {
    return await change();
  } catch (error) {
    if (!isSqlError(error)) throw error;
    const reason = describeTrouble(error);
    return problem(503, `storage: it ${reason}, so the change was not made; try again`, { 'retry-after': '1' });
  }
}
