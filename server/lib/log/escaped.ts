/**
 * Makes untrusted text safe for the log, which a terminal may display: limits its length, and escapes characters that
 * could move or hide other text.
 */

const MAX_CHARS = 64;
/** Control characters, unpaired surrogates, direction marks, and line and paragraph separators. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\\]/u;
/** The beginning of every JSON Web Token. */
const TOKEN_BEGINS = 'eyJ';

/** Returns at most 64 characters, without a token and what follows it. */
export function escaped(text: string): string {
  const tokenAt = text.indexOf(TOKEN_BEGINS);
  let shown = '';
  for (const char of text.slice(0, tokenAt === -1 ? MAX_CHARS : Math.min(tokenAt, MAX_CHARS))) {
    const safe = UNSAFE.test(char) ? `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}` : char;
    if (shown.length + safe.length > MAX_CHARS) break;
    shown += safe;
  }
  return shown;
}
