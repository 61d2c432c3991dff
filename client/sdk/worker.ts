/** The SharedWorker's script: one connection for all tabs of this browser with the same url, user and device. */
import { locksOf, Shares } from './tabs/tab-server.ts';

const shares = new Shares(WebSocket);
const lock = `presence-hub ${Math.random()}`;
/**
 * Held as long as the worker lives, before any tab learns its name. Without locks, the tabs notice later that the
 * worker is gone.
 */
const held = new Promise<string | undefined>((resolve) => {
  const holding = locksOf()?.request(lock, () => {
    resolve(lock);
    return new Promise(() => undefined);
  });
  if (holding === undefined) resolve(undefined);
  else holding.catch(() => resolve(undefined));
});

(globalThis as { onconnect?: (event: MessageEvent) => void }).onconnect = ({ ports: [port] }) => {
  void held.then((myLock) => {
    if (port !== undefined) shares.serve(port, myLock);
  });
};
