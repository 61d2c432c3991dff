/** The reader of the ws engine, with any frames in any pieces: what it reports, where it stops, and what it keeps. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameEvents, FrameReader } from '../../../server/sockets/ws/frame-reader.ts';

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const KIB = 1024;

function frame(opcode: number, payload: Uint8Array | string, isLast = true, mask = [1, 2, 3, 4]): Buffer {
  const bytes = Buffer.from(payload);
  const head = [(isLast ? 0x80 : 0) | opcode];
  if (bytes.length < 126) head.push(0x80 | bytes.length);
  else if (bytes.length < 65_536) head.push(0x80 | 126, bytes.length >> 8, bytes.length & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >> shift) & 255));
  return Buffer.concat([Buffer.from([...head, ...mask]), bytes.map((byte, i) => byte ^ (mask[i & 3] as number))]);
}

class Recorder implements FrameEvents {
  readonly reported: string[] = [];
  onReport: () => void = () => undefined;
  #report(what: string): void {
    this.reported.push(what);
    this.onReport();
  }
  onText(message: string): void {
    this.#report(`text ${message}`);
  }
  onBinary(): void {
    this.#report('binary');
  }
  onOversize(): void {
    this.#report('oversize');
  }
  onFragment(): void {
    this.#report('fragment');
  }
  onPing(payload: Buffer): void {
    this.#report(`ping ${payload.toString()}`);
  }
  onPong(): void {
    this.#report('pong');
  }
  onEnding(code: number | undefined): void {
    this.#report(`ending ${code}`);
  }
  onBroken(code: number): void {
    this.#report(`broken ${code}`);
  }
}

function reportedOf(chunks: readonly Uint8Array[]): string[] {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder);
  // Copies, since the reader writes in what it is given.
  for (const chunk of chunks) expect(reader.read(Buffer.from(chunk))).toBeUndefined();
  return recorder.reported;
}

describe('a reader of frames', () => {
  const mask = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 });
  const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.constantFrom('', 'é'.repeat(300)));
  /** The frames of one message, with what comes in between, and what is reported of them. */
  const message = fc
    .record({ text, cuts: fc.array(fc.nat(400), { maxLength: 3 }), between: fc.constantFrom('', 'ping', 'pong'), mask })
    .map((said) => {
      const bytes = Buffer.from(said.text);
      const cuts = [0, ...said.cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const frames: Buffer[] = [];
      const reported: string[] = [];
      for (let i = 1; i < cuts.length; i++) {
        const isLast = i === cuts.length - 1;
        const opcode = i === 1 ? TEXT : CONTINUATION;
        frames.push(frame(opcode, bytes.subarray(cuts[i - 1], cuts[i]), isLast, said.mask));
        reported.push(isLast ? `text ${said.text}` : 'fragment');
        if (isLast || said.between === '') continue;
        frames.push(frame(said.between === 'ping' ? PING : PONG, 'x', true, said.mask));
        reported.push(said.between === 'ping' ? 'ping x' : 'pong');
      }
      return { frames, reported };
    });

  it('reports the same, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(3_000), { maxLength: 30 }), (messages, cuts) => {
        const bytes = Buffer.concat(messages.flatMap(({ frames }) => frames));
        const reported = messages.flatMap((one) => one.reported);
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        expect(reportedOf(at.slice(1).map((end, i) => bytes.subarray(at[i], end)))).toEqual(reported);
      }),
      { numRuns: 500 },
    );
    const every = [
      frame(TEXT, 'abc'),
      frame(PING, 'p'),
      frame(TEXT, 'x'.repeat(200)),
      frame(BINARY, ''),
      frame(CLOSE, ''),
    ];
    const whole = Buffer.concat(every);
    expect(reportedOf(Array.from(whole, (_, i) => whole.subarray(i, i + 1)))).toEqual(reportedOf([whole]));
  });

  it('stops after the frame in hand, and goes on with the rest', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(recorder);
    recorder.onReport = () => reader.stop();
    let rest: Buffer | undefined = Buffer.concat([
      frame(TEXT, 'one'),
      frame(PING, ''),
      frame(TEXT, 'two'),
      Buffer.from([0x81]),
    ]);
    for (const reported of ['text one', 'ping ', 'text two']) {
      rest = reader.read(rest as Buffer);
      expect(recorder.reported.at(-1)).toBe(reported);
    }
    expect(recorder.reported).toHaveLength(3);
    expect(rest).toHaveLength(1);
    expect(reader.read(rest as Buffer)).toBeUndefined();
    reader.read(frame(TEXT, 'three').subarray(1));
    expect(recorder.reported.at(-1)).toBe('text three');
  });

  it('passes messages of up to 16 KiB, throws larger ones away, and ends beyond 2 MiB', () => {
    expect(reportedOf([frame(TEXT, 'x'.repeat(16 * KIB))])).toEqual([`text ${'x'.repeat(16 * KIB)}`]);
    expect(reportedOf([frame(TEXT, 'x'.repeat(16 * KIB + 1)), frame(TEXT, 'y')])).toEqual(['oversize', 'text y']);
    const half = Buffer.alloc(KIB * KIB, 'x');
    const whole = [frame(BINARY, half, false), frame(CONTINUATION, half, false)];
    expect(reportedOf([...whole, frame(CONTINUATION, '')])).toEqual(['fragment', 'fragment', 'oversize']);
    expect(reportedOf([...whole, frame(CONTINUATION, 'x')])).toEqual(['fragment', 'fragment', 'broken 1009']);
    expect(reportedOf([Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])])).toEqual(['broken 1009']);
  });

  it('reports how the peer ends it', () => {
    const bye = Buffer.concat([Buffer.from([1001 >> 8, 1001 & 255]), Buffer.from('going')]);
    expect(reportedOf([frame(CLOSE, bye), frame(TEXT, 'more')])).toEqual(['ending 1001']);
    expect(reportedOf([frame(CLOSE, '')])).toEqual(['ending undefined']);
  });

  it.each<[string, Buffer, number]>([
    ['without a mask', Buffer.from([0x81, 1, 97]), 1002],
    ['with a reserved bit', Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ['of an unknown kind', frame(3, ''), 1002],
    ['of an unknown control kind', frame(11, ''), 1002],
    ['that continues nothing', frame(CONTINUATION, ''), 1002],
    ['of a message within another', Buffer.concat([frame(TEXT, 'a', false), frame(TEXT, 'b')]), 1002],
    ['of control that goes on', frame(PING, '', false), 1002],
    ['of control over 125 bytes', frame(PING, 'x'.repeat(126)), 1002],
    ['of a close with half a code', frame(CLOSE, 'x'), 1002],
    ['of a close with a code that nobody may send', frame(CLOSE, Buffer.from([1005 >> 8, 1005 & 255])), 1002],
    ['of a close whose reason is no UTF-8', frame(CLOSE, Buffer.from([3, 232, 0xff])), 1007],
    ['of text that is no UTF-8', frame(TEXT, Buffer.from([0xc3, 0x28])), 1007],
    ['of text that ends in half a character', frame(TEXT, Buffer.from([0xc3])), 1007],
  ])('ends at a frame %s, and reports nothing after it', (_, bytes, code) => {
    const reported = reportedOf([Buffer.concat([bytes, frame(TEXT, 'more')])]).filter((what) => what !== 'fragment');
    expect(reported).toEqual([`broken ${code}`]);
  });

  it('keeps no more than twice what came, however small the pieces, and nothing of what is too large', () => {
    const reader = new FrameReader(new Recorder());
    const pieces = 100_000;
    const before = process.memoryUsage();
    reader.read(frame(BINARY, 'x', false));
    for (let i = 0; i < pieces; i++) reader.read(frame(CONTINUATION, 'x', false));
    reader.read(frame(CONTINUATION, Buffer.alloc(KIB * KIB), false));
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(10 * KIB * KIB);
  });
});
