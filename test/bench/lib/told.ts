/**
 * The words of the hub that watchers go by, read from JSON: entries in `presence` and `snapshot` messages. Only what the
 * workloads judge by is looked at.
 */
export interface Entry {
  readonly user: string;
  readonly status: string;
  readonly v: number;
  readonly text?: string;
}

export interface Told {
  readonly type: string;
  readonly entries?: readonly Entry[];
  readonly code?: string;
  readonly message?: string;
}

export function readTold(text: string): Told {
  return JSON.parse(text) as Told;
}
