/**
 * Parses what the hub sends to this page into the types of the contract: answers of explain, and messages of the tail's
 * socket. The hub is trusted to follow its contract. Text that is not JSON is ignored.
 */
import type { Explanation, HubMessage } from '../../../shared/index.ts';

export type { Explanation, ExplainedSession, TailedChange, Transition } from '../../../shared/index.ts';

export function readExplanation(text: string): Explanation | undefined {
  return readJson(text) as Explanation | undefined;
}

export function readMessage(text: string): HubMessage | undefined {
  return readJson(text) as HubMessage | undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
