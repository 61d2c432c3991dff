/**
 * Parses a file of friendships line by line: `user,friend` as CSV, in pieces of any size, never the whole file in
 * memory. Pure. A bad line is reported with its number and skipped.
 */
import { isUserId } from '../../../shared/ids.ts';

/** More than two ids with quotes and spaces ever take. A longer line is bad, and its text is not kept. */
const MAX_LINE_CHARS = 1_024;
const BYTE_ORDER_MARK = '\ufeff';

export interface NumberedEdge {
  readonly line: number;
  readonly edge: readonly [user: string, friend: string];
}
export interface BadLine {
  readonly line: number;
  readonly problem: string;
}

export class EdgeLines {
  #rest = '';
  #line = 0;
  #isSkipping = false;
  #hasData = false;

  /** The number of lines that have ended so far. */
  get count(): number {
    return this.#line;
  }

  /** Returns the edges and bad lines that end in this piece. */
  read(piece: string): { readonly edges: readonly NumberedEdge[]; readonly bad: readonly BadLine[] } {
    const edges: NumberedEdge[] = [];
    const bad: BadLine[] = [];
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const text of lines) this.#take(text, edges, bad);
    if (this.#rest.length > MAX_LINE_CHARS) {
      this.#isSkipping = true;
      this.#rest = '';
    }
    return { edges, bad };
  }

  /** Ends the last line, which may lack a line break. */
  end(): { readonly edges: readonly NumberedEdge[]; readonly bad: readonly BadLine[] } {
    return this.#rest === '' && !this.#isSkipping ? { edges: [], bad: [] } : this.read('\n');
  }

  #take(text: string, edges: NumberedEdge[], bad: BadLine[]): void {
    this.#line += 1;
    const isTooLong = this.#isSkipping || text.length > MAX_LINE_CHARS;
    this.#isSkipping = false;
    const fields = isTooLong ? 'the line is too long' : readFields(this.#line === 1 ? withoutMark(text) : text);
    if (fields === undefined) return;
    const isFirst = !this.#hasData;
    this.#hasData = true;
    if (isFirst && isHeader(fields)) return;
    const edge = typeof fields === 'string' ? fields : readEdge(fields);
    if (typeof edge === 'string') bad.push({ line: this.#line, problem: edge });
    else edges.push({ line: this.#line, edge });
  }
}

/** Returns the fields of a line, the reason why it has none, or undefined if it is blank or a comment. */
function readFields(text: string): readonly string[] | string | undefined {
  const line = text.trim();
  if (line === '' || line.startsWith('#')) return undefined;
  if (!line.includes('"')) return line.split(',').map((field) => field.trim());
  const fields: string[] = [];
  const field = /\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(,|$)/y;
  while (field.lastIndex < line.length) {
    const found = field.exec(line);
    if (found === null) return 'a quote is not closed, or is inside a field';
    fields.push(found[1]?.replaceAll('""', '"') ?? (found[2] ?? '').trim());
    if (found[3] === ',' && field.lastIndex === line.length) fields.push('');
  }
  return fields;
}

function readEdge(fields: readonly string[]): readonly [string, string] | string {
  const [user, friend] = fields;
  if (user === undefined || friend === undefined || fields.length !== 2) {
    return `it has ${fields.length} ${fields.length === 1 ? 'field' : 'fields'} instead of user,friend`;
  }
  for (const id of [user, friend]) {
    if (!isUserId(id)) return id === '' ? 'an id is empty' : `${JSON.stringify(id)} is not a user id`;
  }
  return user === friend ? `${user} cannot be their own friend` : [user, friend];
}

function isHeader(fields: readonly string[] | string): boolean {
  return typeof fields !== 'string' && fields.join(',').toLowerCase() === 'user,friend';
}

function withoutMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}
