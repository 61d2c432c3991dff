/**
 * Checks whether a text is exactly one well-formed `<protocol>` element with at most an XML declaration before it. Reads
 * no field. fast-xml-parser, which reads the fields, does not check this: of the 49 malformed frames in
 * test/support/malformed-frames.ts its parser accepts 46 and its validator 26. well-formed.test.ts keeps these numbers,
 * so that a part of this check can go once fast-xml-parser does it.
 */

const NAME_START =
  ':A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\udfff\\uf900-\\ufdcf\\ufdf0-\\ufffd';
const NAME = `[${NAME_START}][-.0-9\\u00b7\\u0300-\\u036f\\u203f\\u2040${NAME_START}]*`;
const VALUE = `(?:"[^"<]*"|'[^'<]*')`;

const declaration = new RegExp(`<\\?xml(?:\\s+(?:version|encoding|standalone)\\s*=\\s*${VALUE})+\\s*\\?>`, 'y');
const openTag = new RegExp(`<(${NAME})((?:\\s+${NAME}\\s*=\\s*${VALUE})*)\\s*(/?)>`, 'y');
const closeTag = new RegExp(`</(${NAME})\\s*>`, 'y');
const instruction = new RegExp(`<\\?(?!xml[\\s?])${NAME}(?:\\s[^]*?)?\\?>`, 'iy');
const attribute = new RegExp(`(${NAME})\\s*=\\s*(${VALUE})`, 'g');
const wholeName = new RegExp(`^${NAME}$`);

// Characters that no XML 1.0 document contains. A TextDecoder yields no lone surrogates.
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const DTD = /^<!(?:DOCTYPE|ENTITY)/i;
const LONGEST_DTD_CHARS = '<!DOCTYPE'.length;
const BLANK = /^[ \t\r\n]*$/;

export function isXmlName(text: string): boolean {
  return wholeName.test(text);
}

/** Whether the text has a DOCTYPE or an entity definition as markup, even if the rest is broken. */
export function hasDtd(text: string): boolean {
  for (let at = text.indexOf('<!'); at >= 0; at = text.indexOf('<!', at)) {
    if (text.startsWith('<!--', at)) at = endOf(text, '-->', at + 4);
    else if (text.startsWith('<![CDATA[', at)) at = endOf(text, ']]>', at + 9);
    else if (DTD.test(text.slice(at, at + LONGEST_DTD_CHARS))) return true;
    else at += 2;
    if (at < 0) return false;
  }
  return false;
}

/** The position after `end`, or -1 if it is missing: then the rest is not markup. */
function endOf(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from);
  return at < 0 ? -1 : at + end.length;
}

/** The entities that every XML document has, by name. */
export const predefined: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);
const REFERENCE = /&([^;&]*;?)/g;

/** The character of a reference such as `amp;` or `#x26;`. `undefined` for other names, because no DTD defines them. */
function characterOf(reference: string): string | undefined {
  if (!reference.endsWith(';')) return undefined;
  const name = reference.slice(0, -1);
  const digits = /^#(?:([0-9]+)|x([0-9a-fA-F]+))$/.exec(name);
  if (digits === null) return predefined.get(name);
  const point = digits[1] === undefined ? Number.parseInt(digits[2] ?? '', 16) : Number(digits[1]);
  if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
  const character = String.fromCodePoint(point);
  return ILLEGAL.test(character) ? undefined : character;
}

/** The text with its references resolved. Anything that is not a reference stays unchanged. */
export function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(REFERENCE, (all, reference: string) => characterOf(reference) ?? all);
}

function areReferencesValid(text: string): boolean {
  if (!text.includes('&')) return true;
  for (const match of text.matchAll(REFERENCE)) if (characterOf(match[1] ?? '') === undefined) return false;
  return true;
}

function areAttributesValid(attributes: string): boolean {
  const names = new Set<string>();
  for (const match of attributes.matchAll(attribute)) {
    const name = match[1] ?? '';
    if (names.has(name) || !areReferencesValid(match[2] ?? '')) return false;
    names.add(name);
  }
  return true;
}

/** The match of a sticky expression at that position. */
function matchAt(expression: RegExp, text: string, at: number): RegExpExecArray | null {
  expression.lastIndex = at;
  return expression.exec(text);
}

/** The position after the comment, CDATA section or instruction that begins at `at`; `undefined` if there is none. */
function endOfAside(text: string, at: number): number | undefined {
  if (text.startsWith('<!--', at)) {
    // The first `--` must be the end: XML allows none inside.
    const end = text.indexOf('--', at + 4);
    return end !== -1 && text[end + 2] === '>' ? end + 3 : undefined;
  }
  if (text.startsWith('<![CDATA[', at)) {
    const end = text.indexOf(']]>', at + 9);
    return end === -1 ? undefined : end + 3;
  }
  const found = matchAt(instruction, text, at);
  return found === null ? undefined : at + found[0].length;
}

/**
 * The element alone, without the declaration, comments and instructions. Those carry no fields, and the parser takes an
 * apostrophe in an instruction for a quote. `undefined` if the text is not one well-formed `<protocol>` element.
 */
export function protocolElement(text: string): string | undefined {
  if (ILLEGAL.test(text)) return undefined;
  const open: string[] = [];
  let kept = '';
  let keptFrom = matchAt(declaration, text, 0)?.[0].length ?? 0;
  let at = keptFrom;
  for (;;) {
    const next = text.indexOf('<', at);
    if (next === -1) return undefined;
    const run = text.slice(at, next);
    if (open.length === 0 ? !BLANK.test(run) : run.includes(']]>') || !areReferencesValid(run)) return undefined;
    const kind = text[next + 1];
    if (kind === '!' || kind === '?') {
      const end = open.length === 0 ? undefined : endOfAside(text, next);
      if (end === undefined) return undefined;
      if (!text.startsWith('<![', next)) {
        kept += text.slice(keptFrom, next);
        keptFrom = end;
      }
      at = end;
      continue;
    }
    const tag = matchAt(kind === '/' ? closeTag : openTag, text, next);
    if (tag === null) return undefined;
    at = next + tag[0].length;
    const name = tag[1] ?? '';
    if (kind === '/') {
      if (open.pop() !== name) return undefined;
    } else {
      if (open.length === 0 && name !== 'protocol') return undefined;
      if (tag[2] !== '' && !areAttributesValid(tag[2] ?? '')) return undefined;
      if (tag[3] === '') open.push(name);
    }
    if (open.length === 0) return BLANK.test(text.slice(at)) ? kept + text.slice(keptFrom, at) : undefined;
  }
}
