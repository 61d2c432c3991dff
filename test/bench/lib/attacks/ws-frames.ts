/**
 * Attacks with WebSocket frames that carry no message: control frames, fragments, frames that are too large, and
 * connections that come, go, drip or hold still.
 */
import { clientFrame, opcodes } from '../ws-frames.ts';
import {
  bytesOf,
  chunkOf,
  chunksOf,
  cut,
  greeted,
  inTurn,
  upgraded,
  type Attack,
  type AttackSetting,
  type AttackTarget,
} from './attack.ts';
import { textFrame, upgradeRequest } from '../ws-frames.ts';
import type { Random } from '../random.ts';
import type { Crowd, Opening } from '../crowd.ts';

const FIN = 0x80;
const MAX_CONTROL_BYTES = 125;
const nothing = Buffer.alloc(0);
const target: AttackTarget = 'ws';
const large = clientFrame(FIN | opcodes.text, Buffer.alloc(20_000, 'x'));
const huge = clientFrame(FIN | opcodes.text, Buffer.alloc(3 * 1_048_576, 'x'));
const slowHead = Buffer.from(`GET /v1/presence/1 HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}`);
const beat = textFrame({ type: 'heartbeat' });
/** A frame for which the hub closes the connection. */
const forbidden = clientFrame(FIN | opcodes.binary, Buffer.from('x'));

const control = (opcode: number) => (random: Random) =>
  clientFrame(FIN | opcode, random.isOneIn(3) ? bytesOf(random, random.below(MAX_CONTROL_BYTES + 1)) : nothing);

/** Large writes of small frames, at wire speed, on a connection that was opened in a way. */
const floodOf =
  (frame: (random: Random) => Buffer, opening: (port: number) => Opening) =>
  (crowd: Crowd, { width, port, random }: AttackSetting): void =>
    crowd.flood(width, inTurn(chunksOf(random, frame)), opening(port));

const ping = control(opcodes.ping);
const pong = control(opcodes.pong);
/** A message that never ends: its beginning is in the opening. */
const unfinished = (port: number): Opening =>
  upgraded(port, () => Buffer.concat([beat, clientFrame(opcodes.text, Buffer.from('{'))]));

export const wsFrameAttacks: readonly Attack[] = [
  { name: 'ws-pings', target, about: 'pings before hello', start: floodOf(ping, upgraded) },
  {
    name: 'ws-empty-pings',
    target,
    about: 'empty pings before hello',
    start: floodOf(() => clientFrame(FIN | opcodes.ping, nothing), upgraded),
  },
  { name: 'ws-hello-pings', target, about: 'pings after hello', start: floodOf(ping, greeted) },
  { name: 'ws-pongs', target, about: 'pongs before hello', start: floodOf(pong, upgraded) },
  { name: 'ws-hello-pongs', target, about: 'pongs after hello', start: floodOf(pong, greeted) },
  {
    name: 'ws-pongs-closed',
    target,
    about: 'pongs after the hub’s close frame',
    start: floodOf(pong, (port) => upgraded(port, () => forbidden)),
  },
  {
    name: 'ws-empty-fragments',
    target,
    about: 'empty fragments of a message without end',
    start: floodOf(() => clientFrame(opcodes.continuation, nothing), unfinished),
  },
  {
    name: 'ws-tiny-fragments',
    target,
    about: 'fragments of one byte, pings between them',
    start: floodOf((random) => {
      return random.isOneIn(5) ? ping(random) : clientFrame(opcodes.continuation, Buffer.from(' '));
    }, unfinished),
  },
  {
    name: 'ws-held-fragments',
    target,
    about: 'messages of 15 kB in fragments of one byte, which do not end',
    start: (crowd, { held, port }) => {
      const rest = chunkOf(() => clientFrame(opcodes.continuation, Buffer.from(' ')), 7 * 15_000);
      const first = clientFrame(opcodes.text, Buffer.from('{'));
      crowd.pace(held / 20, () => Buffer.concat([first, rest]), { bursts: [1], perS: 0, ...greeted(port) });
    },
  },
  {
    name: 'ws-cut',
    target,
    about: 'heartbeats and pings, cut at random bytes',
    start: (crowd, { width, port, random }) => {
      const frames = chunkOf(() => (random.isOneIn(3) ? ping(random) : beat), 8192);
      crowd.flood(width, inTurn(cut(random, frames, 12)), greeted(port));
    },
  },
  {
    name: 'ws-oversize',
    target,
    about: 'messages of 20 kB and of 3 MB',
    start: (crowd, { width, port }) => {
      crowd.flood(Math.ceil(width / 2), () => large, greeted(port));
      crowd.flood(Math.ceil(width / 10), () => huge, greeted(port));
    },
  },
  {
    name: 'ws-drip',
    target,
    about: 'upgrades and requests at a byte a second',
    start: (crowd, { held, port }) => {
      crowd.drip(held / 20, upgradeRequest(port));
      crowd.drip(held / 20, slowHead);
    },
  },
  {
    name: 'ws-silent',
    target,
    about: 'connections that upgrade and send nothing more',
    start: (crowd, { held, port }) => crowd.hold(held / 2, () => upgradeRequest(port)),
  },
  {
    name: 'ws-storm',
    target,
    about: 'upgrades that end at once',
    start: (crowd, { width, port }) => crowd.storm(width, upgradeRequest(port)),
  },
];
