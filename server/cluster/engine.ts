/**
 * The port of an engine: a store that changes one user's record by compare-and-set, numbers and publishes each change
 * in the same step, and keeps the list of nodes. It knows nothing of presence: bodies are opaque. Two engines implement
 * it, and test/contract/cluster-engine-contract.ts holds both to it.
 *
 * A promise is rejected if no answer is known. The operation may then have happened, happen later, or never.
 */

/** What every operation leaves in front of a record. */
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

/** What an operation does to the webhook events of its user that wait for a rule, in the same step. */
export interface EventStep {
  readonly rule: string;
  /** Takes the place of the waiting event, whose `from` it inherits. Null: the waiting event is dropped. */
  readonly event: NewEvent | null;
}

export interface NewEvent {
  readonly from: string;
  readonly status: string;
  readonly cause: string;
  /** Milliseconds after which it is due. */
  readonly afterMs: number;
  /** Maximum waiting events of the rule in one bucket. One of a further user is dropped. */
  readonly most: number;
  /** Whether it stays even if the user is back in the status of `from`: the receiver may not know that status. */
  readonly isNews: boolean;
}

/** What became of an event: none was in its place; another one was; there was no room. */
export type StepResult = 'new' | 'replaced' | 'dropped';

/** One operation on the record of one user. */
export interface Operation {
  readonly user: string;
  readonly bucket: number;
  readonly op: string;
  /** The incarnation that writes. */
  readonly inc: string;
  /** The `n` of the record that the body was made from. 0: none. */
  readonly expect: number;
  /** The new `n` will be larger than this. */
  readonly floor: number;
  /** Whether others see the change, so that `v` becomes `n`. */
  readonly isShown: boolean;
  /** The engine forgets the record after `ERASED_FOR_MS`, unless another operation follows. */
  readonly isErasure?: true;
  readonly body: string;
  /** What is published: the body, or the part of it that other nodes need. */
  readonly pushed: string;
  /** Incarnations that have sessions in the record since this operation, and those that no longer have. */
  readonly joins: readonly string[];
  readonly leaves: readonly string[];
  /** Empty without webhooks. */
  readonly steps: readonly EventStep[];
}

export type OperationAnswer =
  /** Done now. `results`: one of each step. */
  | { readonly kind: 'ok'; readonly stamp: Stamp; readonly results: readonly StepResult[] }
  /** Done before: the answer was lost. */
  | { readonly kind: 'done'; readonly record: Stored }
  /** Not done, because the record is another one now. */
  | { readonly kind: 'moved'; readonly record: Stored | undefined }
  /** Not done, because the incarnation was buried. */
  | { readonly kind: 'fenced' };

/** A bucket's own state. */
export interface BucketState {
  /** Id of the last operation; '-' if there was none. */
  readonly last: string;
  readonly clock: number;
  /** Versions below it are shown as it. See `Engine.epoch`. */
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
  /** What the member says of itself. */
  readonly facts: string;
}

export interface Members {
  readonly members: readonly Member[];
  /**
   * Names the history that the engine continues. Another one means that acknowledged operations may be lost: another
   * server answers, or the data is gone.
   */
  readonly history: string;
  /** Replicas of the server, if the engine knows. */
  readonly replicas: number | undefined;
}

export interface Engine {
  /** Reads records of one bucket, in the order of the users. */
  read(bucket: number, users: readonly string[]): Promise<BucketRead>;
  change(operation: Operation): Promise<OperationAnswer>;
  /** Publishes the state of the bucket, with its clock moved to now. */
  tick(bucket: number): Promise<void>;
  /**
   * Starts an epoch above `floor`, unless there is one already: acknowledged operations were lost, so every version
   * below it may stand for another entry than before. Returns the epoch.
   */
  epoch(bucket: number, floor: number, op: string): Promise<number>;
  /**
   * Says that the incarnation lives or has left. An incarnation that was buried stays dead. From its first answer on,
   * this node hears the mail to the incarnation, and no longer that to the one before it.
   */
  renew(self: Member): Promise<Members>;
  /** Declares a silent incarnation dead if its counter is still `beat`. */
  bury(inc: string, beat: number): Promise<boolean>;
  /** Refuses operations of the incarnation in this bucket from now on. Returns the users that have its sessions. */
  fence(bucket: number, inc: string): Promise<readonly string[]>;
  /**
   * Sends a text to one incarnation, or to all nodes including this one. At most once: if the other node is not
   * connected now, the text is lost, and nobody notices. Rejected if it has more than MAX_MAIL_BYTES.
   */
  send(to: string, text: string): Promise<void>;
}

/** What an engine reports by itself. */
export interface EngineEvents {
  /** Something was published in the bucket. */
  message(bucket: number, text: string): void;
  /** Another node, or this one, has sent a text: to this incarnation or to all. */
  mail(text: string): void;
  /** Nothing is certain: answers or messages may be missing from now on. */
  away(): void;
  /** Commands are answered and all buckets are subscribed, again. */
  back(): void;
}

/** How long the engine remembers that a user was erased, for nodes that were stopped or cut off meanwhile. */
export const ERASED_FOR_MS = 86_400_000;

/** Addresses all nodes. */
export const EVERYBODY = '*';

/** The longest mail, in bytes of UTF-8. A longer one that arrives is dropped: this project did not send it. */
export const MAX_MAIL_BYTES = 262_144;

export function isMail(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_MAIL_BYTES;
}

/** Operations waiting for their answer, at most, per node. */
export const MAX_IN_FLIGHT = 1000;
