/**
 * Determines the encoding of a frame and decodes its text. The order is that of the contract: the XML declaration, then
 * the connection's byte order mark, then the configured default. No label overrides the width that the bytes evidently
 * have. Never fails: invalid bytes become U+FFFD, and the decoder checks the fields that it reads.
 */

import { TextDecoder } from 'node:util';

export type Encoding = 'utf-8' | 'gbk' | 'gb18030' | 'big5' | 'iso-8859-1' | 'utf-16le' | 'utf-16be';

/** What the connection's bytes reveal: `bytes` is one byte wide, without a byte order mark. */
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

/** The encoding of a label, in any case; `undefined` if the hub does not support it. */
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

/** A declaration is searched only within this many bytes. */
const DECLARATION_WITHIN_BYTES = 256;
const DECLARED_ENCODING = /^<\?xml(?:\s[^>]*?)?\sencoding\s*=\s*["']([\w.:-]+)["']/;

function declaredEncoding(frame: Buffer): Encoding | undefined {
  // Nearly all frames have no declaration, and one byte shows it.
  if (frame[1] !== 0x3f) return undefined;
  const label = DECLARED_ENCODING.exec(frame.toString('latin1', 0, DECLARATION_WITHIN_BYTES))?.[1];
  return label === undefined ? undefined : encodingOf(label);
}

export function decodeText(frame: Buffer, detected: FrameEncoding, defaultEncoding: Encoding): string {
  if (isWide(detected)) return decoderOf(detected).decode(frame);
  // Java clients write encoding="UTF-16" over UTF-8 bytes. A default of UTF-16 is equally wrong for such a frame.
  const declared = declaredEncoding(frame);
  if (declared !== undefined && !isWide(declared)) return decoderOf(declared).decode(frame);
  if (detected === 'utf-8' || isWide(defaultEncoding)) return decoderOf('utf-8').decode(frame);
  return decoderOf(defaultEncoding).decode(frame);
}
