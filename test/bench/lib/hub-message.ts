/**
 * Messages of the hub to watchers, parsed from JSON. Declares only the fields that the workloads use.
 */
export interface Entry {
  readonly user: string;
  readonly status: string;
  readonly v: number;
  readonly text?: string;
}

export interface HubMessage {
  readonly type: string;
  readonly entries?: readonly Entry[];
  readonly code?: string;
  readonly message?: string;
}

export function readHubMessage(text: string): HubMessage {
  return JSON.parse(text) as HubMessage;
}
