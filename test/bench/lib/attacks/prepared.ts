/** What attacks need to find in the hub: users whom its storage knows. */
import { connect } from 'node:net';
import { tokenOf } from '../credentials.ts';
import { sleep } from '../pacing.ts';
import { xmlFrame } from '../tcp-client.ts';

const ONLINE = 1;
const LEAVING = -1;
/** The hub writes behind: after this the rows are there. */
const WRITTEN_AFTER_MS = 1500;

/** Connects each user and lets it leave, so that the hub has it only in its storage. */
export async function storeUsers(tcpPort: number, users: readonly string[]): Promise<void> {
  const frames = users.flatMap((user) => [xmlFrame(user, ONLINE, tokenOf(user)), xmlFrame(user, LEAVING)]);
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: tcpPort });
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
    socket.end(Buffer.concat(frames));
  });
  await sleep(WRITTEN_AFTER_MS);
}
