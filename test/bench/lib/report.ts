/**
 * What a run prints: progress lines while it runs, a table, and one line of JSON at the end. Measures nothing.
 */
export type Cell = string | number | null;
export type Row = Readonly<Record<string, Cell>>;

/** What a workload found. `failures` are sentences; if there are none, the run has passed. */
export interface Outcome {
  readonly failures: readonly string[];
  readonly figures: Readonly<Record<string, unknown>>;
}

const startedAt = performance.now();

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line of progress, with the seconds since the start. */
export function progress(text: string): void {
  say(`[${((performance.now() - startedAt) / 1000).toFixed(0).padStart(5)} s] ${text}`);
}

export function printTable(rows: readonly Row[]): void {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names, ...rows.map((row) => names.map((name) => show(row[name] ?? null)))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  say('');
  for (const line of lines) say(line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
  say('');
}

function show(cell: Cell): string {
  if (cell === null || (typeof cell === 'number' && Number.isNaN(cell))) return '-';
  if (typeof cell === 'string' || Number.isInteger(cell)) return String(cell);
  return cell.toFixed(Math.abs(cell) < 10 ? 2 : 1);
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
