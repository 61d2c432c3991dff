/** The port through which a node reports changes of records to the webhook events of a cluster. */
import type { UserStatus } from '../../shared/status.ts';
import type { EventStep, StepResult, Stored } from './engine.ts';

/** A shown change of a record that this node is about to write. */
export interface RecordChange {
  readonly user: string;
  readonly from: UserStatus;
  readonly to: UserStatus;
  /** The cause of the last transition and its session, encoded (bridge/origins.ts). */
  readonly origin: string;
  /** Whether the engine lost the record, and perhaps events with it. */
  readonly isLost: boolean;
}

export interface NodeEvents {
  /** The steps on waiting events that the engine takes together with the change. */
  stepsOf(change: RecordChange): readonly EventStep[];
  applied(steps: readonly EventStep[], results: readonly StepResult[]): void;
  /** An operation of any node was received. */
  received(bucket: number, user: string, stored: Stored): void;
  /** A bucket was read again, because operations may have been missed. `lost`: users whose operations the engine lost. */
  readAgain(bucket: number, lost: readonly string[]): void;
  /** The engine has another history: acknowledged operations may be lost. */
  forked(): void;
}

/** Forwards to a target that is built later. */
export class LateEvents implements NodeEvents {
  to: NodeEvents = noEvents;

  stepsOf(change: RecordChange): readonly EventStep[] {
    return this.to.stepsOf(change);
  }

  applied(steps: readonly EventStep[], results: readonly StepResult[]): void {
    if (steps.length > 0) this.to.applied(steps, results);
  }

  received(bucket: number, user: string, stored: Stored): void {
    this.to.received(bucket, user, stored);
  }

  readAgain(bucket: number, lost: readonly string[]): void {
    this.to.readAgain(bucket, lost);
  }

  forked(): void {
    this.to.forked();
  }
}

const NO_STEPS: readonly EventStep[] = [];

export const noEvents: NodeEvents = {
  stepsOf: () => NO_STEPS,
  applied: () => undefined,
  received: () => undefined,
  readAgain: () => undefined,
  forked: () => undefined,
};
