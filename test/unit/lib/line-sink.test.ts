import { describe, expect, test, vi } from 'vitest';
import { LineSink, MAX_WAITING_BYTES } from '../../../server/lib/log/line-sink.ts';

/** A reader of stderr: what it was given, and how many bytes it still takes. */
function readerOf(takes: number) {
  const reader = { takes, text: '', calls: 0, failsWith: '' };
  const write = (bytes: Uint8Array): number => {
    reader.calls++;
    if (reader.failsWith !== '') throw Object.assign(new Error('no'), { code: reader.failsWith });
    const taken = Math.min(bytes.length, reader.takes);
    if (taken === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' });
    reader.takes -= taken;
    reader.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  };
  return { reader, write };
}

describe('lines for a reader that may not read', () => {
  test('are written at once while it reads', () => {
    const { reader, write } = readerOf(Infinity);
    const sink = new LineSink(2, { write });
    sink.write('one\n');
    sink.write('two\n');
    expect(reader.text).toBe('one\ntwo\n');
  });

  test('wait while it pauses, are not tried one by one, and come later in order', () => {
    vi.useFakeTimers();
    const { reader, write } = readerOf(2);
    const sink = new LineSink(2, { write });
    for (let n = 0; n < 1000; n++) sink.write(`${n}\n`);
    expect(reader.calls).toBeLessThan(4);
    reader.takes = Infinity;
    vi.advanceTimersByTime(100);
    vi.useRealTimers();
    expect(reader.text).toBe(Array.from({ length: 1000 }, (_, n) => `${n}\n`).join(''));
    expect(sink.dropped).toBe(0);
  });

  test('are dropped beyond a bound and counted, and one line says how many once it reads again', () => {
    vi.useFakeTimers();
    const { reader, write } = readerOf(0);
    const sink = new LineSink(2, { write, onDropped: (lines) => sink.write(`dropped ${lines}\n`) });
    const line = `${'x'.repeat(1023)}\n`;
    for (let n = 0; n < 1000; n++) sink.write(line);
    const kept = MAX_WAITING_BYTES / 1024;
    expect(sink.dropped).toBe(1000 - kept);
    reader.takes = Infinity;
    vi.advanceTimersByTime(100);
    vi.useRealTimers();
    expect(reader.text).toBe(`${line.repeat(kept)}dropped ${1000 - kept}\n`);
  });

  test('are dropped and counted while it is gone, and written again when it is back', () => {
    const { reader, write } = readerOf(Infinity);
    const sink = new LineSink(2, { write });
    reader.failsWith = 'EPIPE';
    sink.write('one\n');
    sink.write('two\n');
    reader.failsWith = '';
    sink.write('three\n');
    expect({ text: reader.text, dropped: sink.dropped }).toEqual({ text: 'three\n', dropped: 2 });
  });

  test('are written at the end as far as it reads soon', () => {
    const { reader, write } = readerOf(3);
    const sink = new LineSink(2, { write });
    sink.write('first\n');
    sink.write('last\n');
    reader.takes = Infinity;
    sink.drain(1000);
    expect(reader.text).toBe('first\nlast\n');
  });

  test('do not keep the end waiting for a reader that never reads', () => {
    const { write } = readerOf(0);
    const sink = new LineSink(2, { write });
    sink.write('lost\n');
    sink.drain(20);
    expect(sink.dropped).toBe(0);
  });
});
