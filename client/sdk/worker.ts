/** The SharedWorker's script: one connection for all tabs of this browser that have the same url, user and device. */
import { locksOf, Shares } from './tab-server.ts';

const shares = new Shares(WebSocket);
const lock = `presence-hub ${Math.random()}`;
/** Held for life, before it is named to any tab; where there are no locks the tabs notice later that it is gone. */
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
