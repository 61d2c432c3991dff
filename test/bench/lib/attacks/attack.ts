/**
 * What an attack is, and the pieces that attacks are made of. The tables are tcp.ts, ws-frames.ts, ws-messages.ts and
 * http.ts; a new attack is one entry in one of them, and `npm run fuzz` and `npm run bench -- hostile` both run it.
 */
import type { Crowd, Opening } from '../crowd.ts';
import { tokenField } from '../credentials.ts';
import type { Random } from '../random.ts';
import { textFrame, upgradeRequest } from '../ws-frames.ts';

export const attackTargets = ['tcp', 'ws', 'http'] as const;
export type AttackTarget = (typeof attackTargets)[number];

export interface AttackScale {
  /** Connections of a flood. */
  readonly width: number;
  /** Connections that hold still. */
  readonly held: number;
}

export interface AttackSetting extends AttackScale {
  /** The port that is attacked. */
  readonly port: number;
  /** All choices come from it, so that a seed repeats an attack. */
  readonly random: Random;
}

export interface HubPorts {
  readonly port: number;
  readonly tcpPort: number;
}

export interface Attack {
  readonly name: string;
  readonly target: AttackTarget;
  /** What is sent, in a few words, for the tables and `--help`. */
  readonly about: string;
  /** What the attack needs to find in the hub, as friend lists. Done once, before anything is measured. */
  readonly prepare?: (hub: HubPorts) => Promise<void>;
  readonly start: (crowd: Crowd, setting: AttackSetting) => void;
}

export const CHUNK_BYTES = 65_536;

/** One of the pieces after another. */
export const inTurn =
  (pieces: readonly Buffer[]) =>
  (no: number): Buffer =>
    pieces[no % pieces.length] ?? Buffer.alloc(0);

/** As many pieces as make one large write. */
export function chunkOf(piece: (no: number) => Buffer, bytes = CHUNK_BYTES): Buffer {
  const pieces: Buffer[] = [];
  for (let length = 0, no = 0; length < bytes; no += 1) {
    const next = piece(no);
    pieces.push(next);
    length += Math.max(1, next.length);
  }
  return Buffer.concat(pieces);
}

/** A few large writes that differ, made ahead: what is made while it is sent slows the sender. */
export function chunksOf(random: Random, piece: (random: Random) => Buffer, count = 4): Buffer[] {
  return Array.from({ length: count }, () => chunkOf(() => piece(random)));
}

export function bytesOf(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

/** The same bytes, cut at random borders, so that nearly no message arrives whole. */
export function cut(random: Random, bytes: Buffer, largest: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(largest);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** An upgraded connection that has not sent hello. */
export function upgraded(port: number, say?: (no: number) => Buffer): Opening {
  return { ask: upgradeRequest(port), ...(say === undefined ? {} : { say }) };
}

/** An attacker has a token of an ordinary user if the hub asks for tokens. */
export function hello(user: string, more: Readonly<Record<string, unknown>> = {}): Buffer {
  return textFrame({ type: 'hello', user, ...tokenField(user), ...more });
}

/** An upgraded connection with a session of a user of its own. */
export function greeted(port: number): Opening {
  return upgraded(port, (no) => hello(`attacker${no}`));
}

/** An upgraded connection that only watches. */
export function observing(port: number): Opening {
  return upgraded(port, () => textFrame({ type: 'hello', observe: true, ...tokenField(null) }));
}
