/**
 * What the hub says to this page, by the types of the contract: answers of explain, and the messages of the tail's socket.
 * The hub is trusted to keep to its contract; what is no JSON is nothing.
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
