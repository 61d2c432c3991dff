/** A stranger's own words for the log, where a terminal may show them: bounded, and with nothing that moves other text. */

const MAX_CHARS = 64;
/** Control characters, halves of surrogate pairs, marks of direction, line and paragraph ends. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\\]/u;
/** How each JSON Web Token begins. */
const TOKEN_BEGINS = 'eyJ';

/** At most 64 characters; a token in it, and what follows, is left out. */
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
