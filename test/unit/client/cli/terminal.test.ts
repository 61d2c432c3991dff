/** What reaches a terminal: other people's words made harmless, widths in columns, progress. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { DemoTicker } from '../../../../client/cli/demo/demo-ticker.ts';
import { renderProgress, writeProgress } from '../../../../client/cli/import/progress.ts';
import { openScreen } from '../../../../client/cli/terminal/screen.ts';
import { fit, harmless, isolated, jsonLine, widthOf } from '../../../../client/cli/terminal/terminal-text.ts';
import { KeptOutput } from '../../../support/cli-io.ts';

describe('other people’s words', () => {
  it('lose every control character, C1 and text direction too, and stay readable', () => {
    expect(harmless('a\u001b[31mred\u0007\u009b2J\r\n')).toBe('a\\u{1b}[31mred\\u{7}\\u{9b}2J\\u{d}\\u{a}');
    expect(harmless('\u202eevil\u2066\u2028\ud800')).toBe('\\u{202e}evil\\u{2066}\\u{2028}\\u{d800}');
    expect(harmless('\u{e0041}')).toBe('\\u{e0041}');
  });

  it('lose them in JSON too, which stays the same value', () => {
    const value = { text: 'a\u001b[31m\u009b2J\u202e\u2028\u{e0041}', emoji: '👩‍💻' };
    const line = jsonLine(value);
    expect(line).toBe('{"text":"a\\u001b[31m\\u009b2J\\u202e\\u2028\\udb40\\udc41","emoji":"👩‍💻"}');
    expect(JSON.parse(line)).toEqual(value);
  });

  it('keep letters of all scripts, and emoji that are joined', () => {
    const text = 'Grüße 吃饭 مرحبا 👩‍💻 🇫🇷';
    expect(harmless(text)).toBe(text);
  });

  it('are separated from the rest of their line if a terminal could turn it', () => {
    expect(isolated('in a meeting \u202e')).toBe('in a meeting \\u{202e}');
    for (const text of ['מכשיר 12', 'مرحبا', '\u0660\u0661', '\u{1e900}']) {
      expect(isolated(text)).toBe(`\u2068${text}\u2069`);
      expect(widthOf(isolated(text))).toBe(widthOf(text));
    }
  });
});

describe('a cell', () => {
  it('is as wide as asked, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (text, width) => {
        expect(widthOf(fit(harmless(text), width))).toBe(width);
      }),
    );
  });

  it('is kept apart as a whole, however much of it is cut off', () => {
    const text = isolated('שלום לכולם');
    expect([fit(text, 12), fit(text, 10)]).toEqual([`${text}  `, text]);
    expect(fit(text, 5)).toBe('\u2068שלום…\u2069');
    expect(fit(`${text} and more`, 5)).toBe('\u2068שלום…\u2069');
    expect(fit(`${text} and more`, 12)).toBe(`${text} …`);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (words, width) => {
        const cell = fit(isolated(`ש${words}`), width);
        expect(widthOf(cell)).toBe(width);
        expect(cell.split('\u2069')).toHaveLength(cell.split('\u2068').length);
      }),
    );
  });

  it('gives two columns to what a terminal gives two', () => {
    expect(widthOf('吃饭')).toBe(4);
    expect(widthOf('🌱')).toBe(2);
    expect(widthOf('é')).toBe(1);
    expect(fit('吃饭去了', 6)).toBe('吃饭… ');
  });
});

describe('progress', () => {
  it('has a bar if the end is known', () => {
    expect(renderProgress({ doneBytes: 25, totalBytes: 100, pairs: 250_000, elapsedMs: 8_000 })).toBe(
      '[######..................]  25%  250,000 pairs  31,250/s  24 s left',
    );
  });

  it('counts if it is not, and does not divide by zero', () => {
    expect(renderProgress({ doneBytes: 25, totalBytes: undefined, pairs: 5, elapsedMs: 0 })).toBe('5 pairs  0/s');
    expect(renderProgress({ doneBytes: 0, totalBytes: 10, pairs: 0, elapsedMs: 10 })).toContain('  0%  0 pairs');
  });
});

describe('a terminal that does not know its size', () => {
  const unsized = () => Object.assign(new KeptOutput(true), { columns: 0, rows: 0 });

  it('is drawn on as if it had the usual size', () => {
    const output = unsized();
    const screen = openScreen(output, (columns, rows) => [`${columns} by ${rows}`]);
    screen.close();
    expect(output.text).toContain('80 by 24');
  });

  it('shows what happens in the demo', () => {
    const output = unsized();
    new DemoTicker(output).show(0, 1, 2, 'ada comes');
    expect(output.text).toContain('1 of 2 connected  ada comes');
  });

  it('shows progress', () => {
    vi.useFakeTimers();
    const output = unsized();
    const writer = writeProgress(output, () => ({ doneBytes: 1, totalBytes: 2, pairs: 3, elapsedMs: 4 }));
    vi.advanceTimersByTime(1_000);
    writer.close();
    vi.useRealTimers();
    expect(output.text).toContain('3 pairs');
  });
});
