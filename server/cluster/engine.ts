/**
 * The port of an engine: a store that changes one user's record by compare-and-set, numbers and publishes each change
 * in the same step, and keeps the list of nodes. It knows nothing of presence: bodies are opaque. Two engines implement
 * it, and test/contract/cluster-engine-contract.ts holds both to it.
 *
 * A promise is rejected if no answer arrived. The operation may then have happened, may happen later, or never.
 */

/** The head of a record, written by each operation. */
export interface Stamp {
  /** The bucket clock at the operation, in milliseconds. Grows strictly with each operation of the bucket. */
  readonly n: number;
  /** The `n` of the last operation that others saw. */
  readonly v: number;
  /** Id of the operation, unique for all time. */
  readonly op: string;
  /** Wall clock of the engine at the operation. Ages in the body refer to it. */
  readonly t: number;
}

export interface Stored extends Stamp {
  readonly body: string;
}

/** What an operation does to the waiting webhook event of its user and a rule, in the same step. */
export interface EventStep {
  readonly rule: string;
  /** Replaces the waiting event and inherits its `from`. Null: the waiting event is dropped. */
  readonly event: NewEvent | null;
}

export interface NewEvent {
  readonly from: string;
  readonly status: string;
  readonly cause: string;
  /** Milliseconds after which it is due. */
  readonly afterMs: number;
  /** Maximum waiting events of the rule in one bucket. Beyond it, an event of another user is dropped. */
  readonly most: number;
  /** Whether the event stays even if the user returns to the status `from`, because the receiver may not know it. */
  readonly isNews: boolean;
}

/** `new`: no event was waiting. `replaced`: one was. `dropped`: the maximum was reached. */
export type StepResult = 'new' | 'replaced' | 'dropped';

/** One operation on the record of one user. */
export interface Operation {
  readonly user: string;
  readonly bucket: number;
  readonly op: string;
  /** The incarnation that writes. */
  readonly inc: string;
  /** The `n` of the record on which the body is based. 0: there was no record. */
  readonly expect: number;
  /** The new `n` will be larger than this. */
  readonly floor: number;
  /** Whether others see the change, so that `v` becomes `n`. */
  readonly isShown: boolean;
  readonly body: string;
  /** What is published: the body, or the part of it that other nodes need. */
  readonly pushed: string;
  /** Incarnations whose first session this operation adds to the record, and those whose last session it removes. */
  readonly joins: readonly string[];
  readonly leaves: readonly string[];
  /** Empty without webhooks. */
  readonly steps: readonly EventStep[];
}

export type OperationAnswer =
  /** The operation succeeded. `results`: one for each step. */
  | { readonly kind: 'ok'; readonly stamp: Stamp; readonly results: readonly StepResult[] }
  /** The operation succeeded before, but its answer was lost. */
  | { readonly kind: 'done'; readonly record: Stored }
  /** Rejected, because the record changed since it was read. */
  | { readonly kind: 'moved'; readonly record: Stored | undefined }
  /** Rejected, because the incarnation was declared dead. */
  | { readonly kind: 'fenced' };

/** A bucket's own state. */
export interface BucketState {
  /** Id of the last operation; '-' if there was none. */
  readonly last: string;
  readonly clock: number;
  /** Smaller versions are shown as this one. See `Engine.epoch`. */
  readonly epoch: number;
}

/** Records of a bucket and its state, read in one step. */
export interface BucketRead extends BucketState {
  readonly records: readonly (Stored | undefined)[];
}

export type MemberState = 'live' | 'left' | 'dead';

export interface Member {
  readonly inc: string;
  readonly state: MemberState;
  /** Grows with each renewal. */
  readonly beat: number;
  /** What the member reports about itself. */
  readonly facts: string;
}

export interface Members {
  readonly members: readonly Member[];
  /**
   * Identifies the history of the data. If it changes, acknowledged operations may be lost: another server answers, or the
   * data was deleted.
   */
  readonly history: string;
  /** Number of replicas of the server, if the engine knows it. */
  readonly replicas: number | undefined;
  /** The largest number of a record that was deleted because its user was erased; 0 if none ever was. */
  readonly erasedAt: number;
}

export interface Engine {
  /** Reads records of one bucket, in the order of the users. */
  read(bucket: number, users: readonly string[]): Promise<BucketRead>;
  change(operation: Operation): Promise<OperationAnswer>;
  /** Publishes the state of the bucket, with its clock moved to now. */
  tick(bucket: number): Promise<void>;
  /**
   * Starts an epoch above `floor`, unless there is one already. Needed if acknowledged operations were lost, because a
   * smaller version may then stand for another entry than before. Returns the epoch.
   */
  epoch(bucket: number, floor: number, op: string): Promise<number>;
  /** Deletes the record of an erased user if it is still the one with this number. Keeps the number, and not the id. */
  forget(bucket: number, user: string, n: number): Promise<void>;
  /**
   * Renews the membership of an incarnation, or marks it as left. An incarnation that was declared dead stays dead. From
   * its first answer on, this node receives direct messages to the incarnation, and no longer those to its previous one.
   */
  renew(self: Member): Promise<Members>;
  /** Declares a silent incarnation dead if its counter is still `beat`. */
  declareDead(inc: string, beat: number): Promise<boolean>;
  /** Refuses operations of the incarnation in this bucket from now on. Returns the users that have its sessions. */
  fence(bucket: number, inc: string): Promise<readonly string[]>;
  /**
   * Sends a text to one incarnation, or to all nodes including this one. Delivered at most once: if the other node is not
   * connected now, the text is lost without an error. Rejected if it has more than MAX_DIRECT_MESSAGE_BYTES.
   */
  send(to: string, text: string): Promise<void>;
}

/** Events of an engine. */
export interface EngineEvents {
  /** A message was published in the bucket. */
  message(bucket: number, text: string): void;
  /** A node sent a text to this incarnation or to all nodes. The sender may be this node. */
  directMessage(text: string): void;
  /** The connection is lost: answers and messages may be missing from now on. */
  away(): void;
  /** Commands are answered and all buckets are subscribed (again). */
  back(): void;
}

/** An engine and its connection. */
export interface EngineConnection {
  readonly engine: Engine;
  /** Reports from now on. */
  connect(events: EngineEvents): void;
  stop(): void;
  replacePush(): Promise<void>;
}

/** The address of all nodes. */
export const ALL_NODES = '*';

/** Maximum bytes of one direct message in UTF-8. A larger one that arrives is dropped, because no hub sent it. */
export const MAX_DIRECT_MESSAGE_BYTES = 262_144;

export function fitsDirectMessage(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_DIRECT_MESSAGE_BYTES;
}

/** Maximum operations of one node that wait for their answer. */
export const MAX_IN_FLIGHT = 1000;
