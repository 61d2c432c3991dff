/** What a check of `presence-hub doctor` found: one line, and the remedy if something is wrong. */

export type Level = 'ok' | 'warning' | 'error';

export interface Finding {
  /** What was checked, in one word. */
  readonly check: string;
  readonly level: Level;
  readonly says: string;
  /** What to do; null if nothing is wrong. */
  readonly remedy: string | null;
}

export function fine(check: string, says: string): Finding {
  return { check, level: 'ok', says, remedy: null };
}

export function warning(check: string, says: string, remedy: string): Finding {
  return { check, level: 'warning', says, remedy };
}

export function error(check: string, says: string, remedy: string): Finding {
  return { check, level: 'error', says, remedy };
}

/** Splits a sentence of the hub, "what is wrong: what to do". */
export function asFinding(check: string, level: 'warning' | 'error', sentence: string): Finding {
  const at = sentence.lastIndexOf(': ');
  const [says, remedy] = at < 0 ? [sentence, 'change it'] : [sentence.slice(0, at), sentence.slice(at + 2)];
  return { check, level, says, remedy };
}
