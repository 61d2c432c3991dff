/**
 * The golden frames: what a client's bytes decode to, from bytes to fields, through framer, charset and decode as the
 * listener joins them. `test/golden/frames/index.json` says what each file means.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import type { Encoding } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import { decodeFrame } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import type { Decoded } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import { Framer } from '../../../../server/adapters/tcp-xml/frames/framer.ts';
import { defaultFieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';

interface Golden {
  readonly says: string;
  readonly default?: Encoding;
  readonly end?: 'too_large';
  readonly frames: readonly Decoded[];
}

const folder = new URL('../../../golden/frames/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as Record<string, Golden>;

function decodeAll(packets: readonly Buffer[], encoding: Encoding): { frames: Decoded[]; end: 'ok' | 'too_large' } {
  const framer = new Framer(encoding);
  const frames: Decoded[] = [];
  for (const packet of packets) {
    const result = framer.push(packet, (frame, seen) => {
      frames.push(decodeFrame(decodeText(frame, seen, encoding), defaultFieldNames));
    });
    if (result === 'too_large') return { frames, end: result };
  }
  return { frames, end: 'ok' };
}

describe('golden frames', () => {
  it('are all in the index', () => {
    const files = readdirSync(folder).filter((name) => name.endsWith('.frame'));
    expect(files.sort()).toEqual(Object.keys(index).sort());
  });

  for (const [file, golden] of Object.entries(index)) {
    it(`${file}: ${golden.says}`, () => {
      const bytes = readFileSync(new URL(file, folder));
      const bytewise = Array.from(bytes, (byte) => Buffer.from([byte]));
      for (const packets of [[bytes], bytewise]) {
        const { frames, end } = decodeAll(packets, golden.default ?? 'utf-8');
        expect(frames).toEqual(golden.frames);
        expect(end).toBe(golden.end ?? 'ok');
      }
    });
  }
});
