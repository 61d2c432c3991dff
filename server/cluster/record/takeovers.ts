/**
 * Finds in a record what other nodes took over: sessions of this node that must end without a notification, and devices
 * that returned on another node. Pure.
 */
import type { Chain } from '../chain.ts';
import { startOf, type Liveness, type OwnSession } from './next-record.ts';
import { takenOver } from './one-per-device.ts';
import type { Replica } from '../replicas.ts';

interface TakeoverContext {
  /** This node's incarnation. */
  readonly inc: string;
  /** Of the user's bucket. */
  readonly chain: Chain;
  readonly liveness: Liveness;
  readonly nowMs: number;
}

export interface Takeovers {
  /** Sessions of this node that continue on another node, or that another node ended. */
  readonly ended: readonly string[];
  /** Devices of sessions that are seen on another node for the first time. */
  readonly began: readonly string[];
  /** Whether all sessions of this node must end, because the user was erased. */
  readonly isErased: boolean;
}

const NONE: Takeovers = { ended: [], began: [], isErased: false };

/** Compares a record that was just read with what this node wrote before, and with the sessions that it holds. */
export function takeovers(replica: Replica, sessions: readonly OwnSession[], context: TakeoverContext): Takeovers {
  const { inc, chain, liveness, nowMs } = context;
  const { record } = replica;
  if (record === undefined || record.parts === null) return NONE;
  if (replica.takeErasure()) return { ...NONE, isErased: true };
  const written = replica.writtenBy(inc);
  const left = record.parts[inc] ?? [];
  const isIn = (part: readonly { readonly k: string }[], k: string): boolean => part.some((session) => session.k === k);
  // Without a fork since then, only another node can have removed them, because it received a later sign of life.
  const isSure = replica.writtenAt(inc) > chain.epoch;
  const lost = written.filter(({ k }) => isSure && !isIn(left, k)).map(({ k }) => k);
  const latestBefore = (ageMs: number): number => replica.latestBefore(nowMs - ageMs);
  const stampBounds = { clock: chain.clockAt(nowMs), latestBefore };
  const unwritten = sessions
    .filter(({ k }) => chain.clock > 0 && !isIn(written, k) && !isIn(left, k))
    .map(({ a, d, k, startAgeMs }) => ({ a, d, k, b: startOf(startAgeMs, stampBounds) }));
  const began = Object.entries(record.parts).flatMap(([other, part]) => {
    if (other === inc || liveness.hasEnded(other)) return [];
    return part.filter(({ k }) => replica.isNew(other, k)).map(({ d }) => d);
  });
  return { ended: [...lost, ...takenOver(record, [...written, ...unwritten], liveness)], began, isErased: false };
}
