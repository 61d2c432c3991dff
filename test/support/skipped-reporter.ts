/**
 * A Vitest reporter that ends the run with one line about all skipped tests: how many, why, and what to do. Prints nothing if
 * none was skipped. Tests that a name pattern (`-t`) left out count only if something is missing for them.
 */
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import type { Missing } from './needs.ts';

export class SkippedReporter implements Reporter {
  readonly #print: (line: string) => void;
  #hasNamePattern = false;

  constructor(print: (line: string) => void = (line) => process.stdout.write(`\n${line}\n`)) {
    this.#print = print;
  }

  onInit(vitest: Vitest): void {
    this.#hasNamePattern = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')]);
    const reasons = skipped.map((test) => missingFor(test) ?? noted(test));
    const line = skippedLine(reasons.filter((reason) => reason !== undefined || !this.#hasNamePattern));
    if (line !== undefined) this.#print(line);
  }
}

/** What the test, or a suite around it, needs and has not. */
function missingFor(test: TestCase): Missing | undefined {
  let task: TestCase | TestSuite | TestModule = test;
  while (task.type !== 'module') {
    const { missing } = task.meta();
    if (missing !== undefined) return missing;
    task = task.parent;
  }
  return undefined;
}

/** What the test itself said while it ran. */
function noted(test: TestCase): Missing | undefined {
  const result = test.result();
  return result.state === 'skipped' && result.note !== undefined ? { reason: result.note, remedy: '' } : undefined;
}

/** The line about skipped tests, one reason each. Those with most tests come first. */
export function skippedLine(reasons: readonly (Missing | undefined)[]): string | undefined {
  if (reasons.length === 0) return undefined;
  const counts = new Map<string, { count: number; remedy: string }>();
  for (const { reason, remedy } of reasons.map((missing) => missing ?? { reason: 'no reason given', remedy: '' })) {
    counts.set(reason, { count: (counts.get(reason)?.count ?? 0) + 1, remedy });
  }
  const parts = [...counts]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([reason, { count, remedy }]) => `${reason} (${count}${remedy === '' ? '' : `: ${remedy}`})`);
  return `SKIPPED ${reasons.length} ${reasons.length === 1 ? 'test' : 'tests'}: ${parts.join(', ')}`;
}
