/**
 * How long a page's tasks take, from the browser's own trace. A task is judged by the time that its thread computed: what the
 * cores do meanwhile for others is not the page's doing. Knows no page.
 */
import type { Browser, Page } from 'playwright-core';

/** What the browsers' makers call long. */
export const LONG_TASK_MS = 50;

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds by the wall. */
  readonly dur?: number;
  /** Microseconds of the thread's own processor time. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** The longest task of a page's main thread meanwhile, in milliseconds of processor time. All figures are printed. */
export async function longestTaskMs(
  what: string,
  browser: Browser,
  page: Page,
  meanwhile: () => Promise<void>,
): Promise<number> {
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  await meanwhile();
  const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: readonly TraceEvent[] };
  const mains = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const tasks = traceEvents.filter(({ name, pid, tid }) => name.endsWith('RunTask') && mains.has(`${pid} ${tid}`));
  if (tasks.length < 100) throw new Error(`the trace has ${tasks.length} tasks of the page: it was not followed`);
  const longest = (key: 'dur' | 'tdur') => Math.max(...tasks.map((task) => (task[key] ?? 0) / 1000));
  const busyMs = tasks.reduce((sum, { tdur = 0 }) => sum + tdur / 1000, 0);
  process.stdout.write(
    `${what}: ${tasks.length} tasks, ${busyMs.toFixed(0)} ms in all, the longest computed ${longest('tdur').toFixed(1)} ms (${longest('dur').toFixed(1)} ms by the wall)\n`,
  );
  return longest('tdur');
}
