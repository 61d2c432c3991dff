/** What a node of a cluster needs of the hub around it. */
import type { Shown } from '../presence/fold.ts';
import type { Engine } from './engine.ts';
import type { Own } from './record/next-record.ts';
import type { NodeEvents } from './node-events.ts';
import type { UserRecord } from './record/record.ts';
import type { Report } from './replicas.ts';

/** The sessions of this node, and who wants to know of changes. */
export interface NodeHost {
  readonly own: (user: string) => Omit<Own, 'inc' | 'former' | 'changeAgeMs'>;
  readonly usersHere: () => Iterable<string>;
  readonly report: Report;
  /** A session began on another node: one that waits for that user and device on this node is not needed any more. */
  readonly onBegan: (user: string, device: string) => void;
  /** The user was erased: its sessions on this node must end before they are written again. */
  readonly onErased: (user: string) => void;
  /** A session over HTTP goes on on another node. */
  readonly onOvertaken: (user: string, k: string) => void;
  /** This node was buried and begins again: what its sessions waited for may have happened on another one. */
  readonly onRejoin: () => void;
  /** Whether a live node has the target of this user and device in its file, and so polls it now. */
  readonly isPolled: (user: string, device: string) => boolean;
  readonly events: NodeEvents;
  /** Another node has sent a text. */
  readonly onMail: (text: string) => void;
  /** An operation of any node has arrived. `t`: when it happened, on the engine's clock. */
  readonly arrived: (op: string, t: number) => void;
  /**
   * This node has written a record, or found it as it wants it: then both are the same. Undefined: there was none before.
   */
  readonly onWritten: (user: string, before: UserRecord | undefined, after: UserRecord) => void;
  /** The subscription is dead although commands are answered: has it replaced. */
  readonly onDeaf: () => void;
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
