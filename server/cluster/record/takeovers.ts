/**
 * What other nodes took over, as a record shows it: sessions of this node that must end without a word, and devices
 * that came back elsewhere. Pure.
 */
import type { Chain } from '../chain.ts';
import { overtaken, startOf, type Fates, type OwnSession } from './next-record.ts';
import type { Replica } from '../replicas.ts';

interface Where {
  /** This node's incarnation. */
  readonly inc: string;
  /** Of the user's bucket. */
  readonly chain: Chain;
  readonly fates: Fates;
  readonly nowMs: number;
}

export interface Takeovers {
  /** Sessions of this node that go on on another one, or that another one ended. */
  readonly ended: readonly string[];
  /** Devices of sessions that are seen on another node for the first time. */
  readonly began: readonly string[];
  /** Whether all sessions of this node must end, because the user was erased. */
  readonly isErased: boolean;
}

const NONE: Takeovers = { ended: [], began: [], isErased: false };

/** Compares a record that was just read with what this node wrote before, and with the sessions that it holds. */
export function takeovers(replica: Replica, sessions: readonly OwnSession[], where: Where): Takeovers {
  const { inc, chain, fates, nowMs } = where;
  const { record } = replica;
  if (record === undefined || record.parts === null) return NONE;
  if (replica.takeErasure()) return { ...NONE, isErased: true };
  const written = replica.writtenBy(inc);
  const left = record.parts[inc] ?? [];
  const isIn = (part: readonly { readonly k: string }[], k: string): boolean => part.some((session) => session.k === k);
  // Without a fork since then, only another node can have taken them out: it heard the user later.
  const isSure = replica.writtenAt(inc) > chain.epoch;
  const lost = written.filter(({ k }) => isSure && !isIn(left, k)).map(({ k }) => k);
  const latestBefore = (ageMs: number): number => replica.latestBefore(nowMs - ageMs);
  const context = { clock: chain.clockAt(nowMs), latestBefore };
  const unwritten = sessions
    .filter(({ k }) => chain.clock > 0 && !isIn(written, k) && !isIn(left, k))
    .map(({ a, d, k, startAgeMs }) => ({ a, d, k, b: startOf(startAgeMs, context) }));
  const began = Object.entries(record.parts).flatMap(([other, part]) => {
    if (other === inc || fates.isGone(other)) return [];
    return part.filter(({ k }) => replica.isNew(other, k)).map(({ d }) => d);
  });
  return { ended: [...lost, ...overtaken(record, [...written, ...unwritten], fates)], began, isErased: false };
}
