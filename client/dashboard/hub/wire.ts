/**
 * Parses the answers of explain into the types of the contract. The hub is trusted to follow its contract. Text that is
 * not JSON is ignored.
 */
import type { Explanation } from '../../../shared/index.ts';

export type { Explanation, ExplainedSession, TailedChange, Transition } from '../../../shared/index.ts';

export function readExplanation(text: string): Explanation | undefined {
  try {
    return JSON.parse(text) as Explanation;
  } catch {
    return undefined;
  }
}
