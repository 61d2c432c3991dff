/**
 * Parses the Prometheus text format. Knows no metric by name, and skips lines that are not samples, so that a
 * reader shows what it can read. Pure.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Name, labels in braces, value, and a timestamp that is ignored. */
const LINE = /^([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)\s*=\s*"((?:\\.|[^"\\])*)"/g;

export function parsePrometheusText(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', number = ''] = LINE.exec(line.trim()) ?? [];
    const value = parseNumber(number);
    return name === undefined || value === undefined ? [] : [{ name, labels: parseLabels(labels), value }];
  });
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...text.matchAll(LABEL)].map(([, name = '', value = '']) => [
      name,
      value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    ]),
  );
}

function parseNumber(text: string): number | undefined {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  const value = Number(text);
  return text === '' || (Number.isNaN(value) && text !== 'NaN') ? undefined : value;
}
