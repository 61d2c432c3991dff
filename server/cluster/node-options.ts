/** What a node of a cluster requires from its hub. */
import type { Shown } from '../presence/fold.ts';
import type { Engine } from './engine.ts';
import type { Own } from './record/next-record.ts';
import type { NodeEvents } from './node-events.ts';
import type { UserRecord } from './record/record.ts';
import type { Report } from './replicas.ts';

/** The hub as its node sees it: the sessions of this hub, and callbacks. */
export interface NodeHost {
  readonly own: (user: string) => Omit<Own, 'inc' | 'former' | 'changeAgeMs'>;
  readonly usersHere: () => Iterable<string>;
  readonly report: Report;
  /** A session began on another node, so a waiting session of that user and device on this node must end. */
  readonly onBegan: (user: string, device: string) => void;
  /** The user was erased: its sessions on this node must end before they are written again. */
  readonly onErased: (user: string) => void;
  /** A session over HTTP continues on another node. */
  readonly onSuperseded: (user: string, k: string) => void;
  /** This node was declared dead and rejoins. Its waiting sessions must end: their users may have returned elsewhere. */
  readonly onRejoin: () => void;
  /** Reads the records of these users, and keeps them for a while. Undefined: they are known. */
  readonly load: (users: readonly string[]) => Promise<void> | undefined;
  /** Sessions of nodes that left or died are left in the record of the user for a while, or no longer. */
  readonly onOrphan: (user: string, isOrphan: boolean) => void;
  /** Whether a live node has this target in its file, and so polls it. */
  readonly isPolled: (user: string, device: string) => boolean;
  readonly events: NodeEvents;
  /** Another node has sent a text. */
  readonly onDirectMessage: (text: string) => void;
  /** The message of an operation of any node arrived. `t`: the time of the operation on the engine's clock. */
  readonly onOperation: (op: string, t: number) => void;
  /**
   * This node has written a record. `before` is undefined if there was none, and equal to `after` if nothing had to change.
   */
  readonly onWritten: (user: string, before: UserRecord | undefined, after: UserRecord) => void;
  /** The subscription is dead although commands are answered. It must be replaced. */
  readonly onDeadSubscription: () => void;
}

export interface NodeOptions {
  readonly engine: Engine;
  readonly host: NodeHost;
  readonly buckets: number;
  readonly offline: Shown;
  readonly now: () => number;
  readonly random: () => number;
  /** A name for a new incarnation, unique for all time. */
  readonly newInc: () => string;
  /** Where other nodes reach this one over HTTP; '' if they cannot. */
  readonly url: string;
  readonly leaseMs: number;
  readonly graceMs: number;
  /** HUB_WARM_MS. */
  readonly warmMs: number;
}
