/** The form of a check, and its run. */
import { Kit, type Targets } from './kit.ts';
import { Violation } from './violation.ts';

export interface Check {
  /** The rules of PROTOCOL.md that it tests. */
  readonly rules: readonly string[];
  /** What must hold, in one sentence. */
  readonly title: string;
  /** What the check needs in addition to WebSocket. */
  readonly needs?: 'tcp' | 'http';
  /** Rejects with a Violation if a rule is broken. */
  readonly run: (kit: Kit) => Promise<void>;
}

export interface Outcome {
  readonly rules: readonly string[];
  readonly title: string;
  readonly result: 'pass' | 'fail' | 'skip';
  /** Why it failed or was skipped; null if it passed. */
  readonly reason: string | null;
}

/** Checks wait for graces and leases most of the time. */
const AT_ONCE = 8;

/** Runs every check against the hub, several at once, and reports each outcome in the order of the list. */
export async function runChecks(
  checks: readonly Check[],
  targets: Targets,
  signal: AbortSignal,
  onOutcome: (outcome: Outcome) => void,
): Promise<readonly Outcome[]> {
  const outcomes: (Outcome | undefined)[] = [];
  let [begun, reported] = [0, 0];
  const work = async (): Promise<void> => {
    for (let index = begun++; index < checks.length && !signal.aborted; index = begun++) {
      const check = checks[index];
      if (check === undefined) return;
      outcomes[index] = await runCheck(check, targets);
      for (let next = outcomes[reported]; next !== undefined; next = outcomes[reported]) {
        onOutcome(next);
        reported++;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes.filter((outcome) => outcome !== undefined);
}

async function runCheck({ rules, title, needs, run }: Check, targets: Targets): Promise<Outcome> {
  if (needs === 'tcp' && targets.tcp === null) return { rules, title, result: 'skip', reason: 'no --tcp was given' };
  if (needs === 'http' && targets.http === null) return { rules, title, result: 'skip', reason: 'no --http was given' };
  const kit = new Kit(targets);
  try {
    await run(kit);
    return { rules, title, result: 'pass', reason: null };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { rules, title, result: 'fail', reason: error.message };
  } finally {
    kit.end();
  }
}
