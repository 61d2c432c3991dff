/** What the webhook events of a cluster need of its nodes, and the part of a node without webhooks. */
import type { UserStatus } from '../../shared/status.ts';
import type { EventStep, StepResult, Stored } from './engine.ts';

/** A shown change of a record that this node is about to write. */
export interface RecordChange {
  readonly user: string;
  readonly from: UserStatus;
  readonly to: UserStatus;
  /** What happened last, and to which session. */
  readonly origin: string;
  /** Whether the engine lost the record, and perhaps events with it. */
  readonly isLost: boolean;
}

export interface NodeEvents {
  /** What the engine does to the events of the user together with the change. */
  stepsOf(change: RecordChange): readonly EventStep[];
  applied(steps: readonly EventStep[], results: readonly StepResult[]): void;
  /** An operation of any node was heard. */
  heard(bucket: number, user: string, stored: Stored): void;
  /** A bucket was read again. Operations may have been missed. `lost`: users whose operations the engine lost. */
  readAgain(bucket: number, lost: readonly string[]): void;
  /** The engine has another history: acknowledged operations may be lost. */
  forked(): void;
}

/** Passes everything on to what is built later. */
export class LateEvents implements NodeEvents {
  to: NodeEvents = noEvents;

  stepsOf(change: RecordChange): readonly EventStep[] {
    return this.to.stepsOf(change);
  }

  applied(steps: readonly EventStep[], results: readonly StepResult[]): void {
    if (steps.length > 0) this.to.applied(steps, results);
  }

  heard(bucket: number, user: string, stored: Stored): void {
    this.to.heard(bucket, user, stored);
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
  heard: () => undefined,
  readAgain: () => undefined,
  forked: () => undefined,
};
