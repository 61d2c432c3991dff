/**
 * Which encoding a frame is in, and its text. The order is the contract's: the XML declaration, else the connection's
 * byte order mark, else the configured default; but no label outweighs the width that the bytes plainly have.
 * Never fails: bytes that do not fit become U+FFFD, and decode looks at the fields that are read.
 * The framer finds a connection's width with it, its connection turns frames to text, and hub/context.ts reads HUB_TCP_ENCODING.
 */

import { TextDecoder } from 'node:util';

export type Encoding = 'utf-8' | 'gbk' | 'gb18030' | 'big5' | 'iso-8859-1' | 'utf-16le' | 'utf-16be';

/** What a connection's bytes themselves say: `bytes` is one byte wide, without a byte order mark. */
export type FrameEncoding = 'bytes' | 'utf-8' | 'utf-16le' | 'utf-16be';

const encodings: ReadonlyMap<string, Encoding> = new Map([
  ['utf-8', 'utf-8'],
  ['utf8', 'utf-8'],
  ['us-ascii', 'utf-8'],
  ['ascii', 'utf-8'],
  ['gbk', 'gbk'],
  ['cp936', 'gbk'],
  ['gb2312', 'gbk'],
  ['gb18030', 'gb18030'],
  ['big5', 'big5'],
  ['big5-hkscs', 'big5'],
  ['iso-8859-1', 'iso-8859-1'],
  ['iso8859-1', 'iso-8859-1'],
  ['latin1', 'iso-8859-1'],
  ['windows-1252', 'iso-8859-1'],
  ['utf-16', 'utf-16le'],
  ['utf16', 'utf-16le'],
  ['utf-16le', 'utf-16le'],
  ['utf-16be', 'utf-16be'],
]);

/** The encoding of that label, whatever its case; `undefined` for one the hub does not read. */
export function encodingOf(label: string): Encoding | undefined {
  return encodings.get(label.trim().toLowerCase().replaceAll('_', '-'));
}

export function isWide(encoding: Encoding | FrameEncoding): encoding is 'utf-16le' | 'utf-16be' {
  return encoding === 'utf-16le' || encoding === 'utf-16be';
}

const decoders = new Map<Encoding, TextDecoder>();

function decoderOf(encoding: Encoding): TextDecoder {
  let decoder = decoders.get(encoding);
  if (decoder === undefined) {
    decoder = new TextDecoder(encoding);
    decoders.set(encoding, decoder);
  }
  return decoder;
}

/** A declaration stands within so many bytes or is not looked for. */
const DECLARATION_WITHIN_BYTES = 256;
const DECLARED_ENCODING = /^<\?xml(?:\s[^>]*?)?\sencoding\s*=\s*["']([\w.:-]+)["']/;

function declaredEncoding(frame: Buffer): Encoding | undefined {
  // Nearly all frames have no declaration: one byte tells.
  if (frame[1] !== 0x3f) return undefined;
  const label = DECLARED_ENCODING.exec(frame.toString('latin1', 0, DECLARATION_WITHIN_BYTES))?.[1];
  return label === undefined ? undefined : encodingOf(label);
}

/** The frame's text. */
export function decodeText(frame: Buffer, seen: FrameEncoding, defaultEncoding: Encoding): string {
  if (isWide(seen)) return decoderOf(seen).decode(frame);
  // Java clients write encoding="UTF-16" over UTF-8 bytes, and a default of UTF-16 is no truer for such a frame.
  const declared = declaredEncoding(frame);
  if (declared !== undefined && !isWide(declared)) return decoderOf(declared).decode(frame);
  if (seen === 'utf-8' || isWide(defaultEncoding)) return decoderOf('utf-8').decode(frame);
  return decoderOf(defaultEncoding).decode(frame);
}
