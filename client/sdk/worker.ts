/** The SharedWorker's script: one connection for all tabs of this browser that have the same url, user and device. */
import { Shares } from './serve.ts';

const shares = new Shares(WebSocket);

(globalThis as { onconnect?: (event: MessageEvent) => void }).onconnect = ({ ports: [port] }) => {
  if (port !== undefined) shares.serve(port);
};
