/**
 * What every engine behind server/sockets/port.ts must do, on real sockets: a suite as a function, in parts.
 * `all` are the engines that load here, each of which may hold a port before or after. Run by engines.test.ts.
 */
import type { Engine } from '../../server/sockets/port.ts';
import { endContract } from './engine-end-contract.ts';
import { floodContract } from './engine-flood-contract.ts';
import { httpContract } from './engine-http-contract.ts';
import { lastAnswerContract } from './engine-last-answer-contract.ts';
import { portContract } from './engine-port-contract.ts';
import type { Tested } from './engine-rig.ts';
import { streamedContract } from './engine-streamed-contract.ts';
import { tlsContract } from './engine-tls-contract.ts';
import { webSocketContract } from './engine-websocket-contract.ts';

export function engineContract(engine: Engine, all: readonly Engine[]): void {
  webSocketContract(engine);
  endContract(engine);
  httpContract(engine);
  floodContract(engine);
  lastAnswerContract(engine);
  streamedContract(engine);
  portContract(engine, all);
  tlsContract(engine);
}

/** TLS changes nothing of what is said above it. */
export function engineContractOverTls(engine: Tested): void {
  webSocketContract(engine);
  endContract(engine);
  httpContract(engine);
  floodContract(engine);
  lastAnswerContract(engine);
  streamedContract(engine);
}
