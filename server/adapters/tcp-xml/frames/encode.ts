/**
 * The hub's answers to a legacy client (acknowledgement, error, probe) and their bytes in the width of the connection.
 * Writes ASCII only, in any encoding: other characters become numeric references. Does not decide when to answer.
 */
import { isWide } from './charset.ts';
import type { FrameEncoding } from './charset.ts';
import { predefined } from './well-formed.ts';

const named: ReadonlyMap<string, string> = new Map(
  [...predefined].map(([name, character]) => [character, `&${name};`]),
);

function escape(text: string): string {
  return text.replace(/[^ -~]|[&<>"']/gu, (character) => named.get(character) ?? reference(character));
}

function reference(character: string): string {
  const point = character.codePointAt(0) ?? 0xfffd;
  // XML has no form for control characters, lone surrogates and the two non-characters.
  const none = point < 0x20 || (point >= 0xd800 && point <= 0xdfff) || point === 0xfffe || point === 0xffff;
  return `&#x${(none ? 0xfffd : point).toString(16).toUpperCase()};`;
}

export function encodeAck(user: string, state: number): string {
  return `<protocol><ack user_id="${escape(user)}" state="${state}"/></protocol>`;
}

export function encodeError(code: string, message: string): string {
  return `<protocol><error code="${escape(code)}">${escape(message)}</error></protocol>`;
}

export function encodeProbe(): string {
  return '<protocol><probe/></protocol>';
}

/** The bytes of an answer in the width of the connection. A line end closes it, because some clients read lines. */
export function answerBytes(xml: string, detected: FrameEncoding): Buffer {
  const line = `${xml}\n`;
  if (!isWide(detected)) return Buffer.from(line, 'latin1');
  const bytes = Buffer.from(line, 'utf16le');
  return detected === 'utf-16be' ? bytes.swap16() : bytes;
}
