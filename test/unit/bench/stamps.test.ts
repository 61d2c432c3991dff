import { describe, expect, it } from 'vitest';
import { readStamps, stampText, type Stamp } from '../../bench/lib/stamps.ts';

const entry = (text: string): string => JSON.stringify({ user: 'u7', status: 'away', text, v: 1_767_225_600_001 });
const presence = (...texts: readonly string[]): Buffer =>
  Buffer.from(`{"type":"presence","entries":[${texts.map(entry).join(',')}]}`);

function read(message: Buffer): Stamp[] {
  const stamps: Stamp[] = [];
  const count = readStamps(message, (user, change, sentAtUs) => stamps.push({ user, change, sentAtUs }));
  expect(count).toBe(stamps.length);
  return stamps;
}

describe('stamps', () => {
  it('are read as they were written, whatever their size', () => {
    const stamps = [
      { user: 0, change: 1, sentAtUs: 0 },
      { user: 999_999, change: 4_294_967_295, sentAtUs: 123_456_789_012_345 },
    ];
    for (const stamp of stamps) expect(read(presence(stampText(stamp)))).toEqual([stamp]);
  });

  it('of a frame with several entries all come, in order', () => {
    const stamps = [1, 2, 3].map((no) => ({ user: no, change: 10 * no, sentAtUs: 1000 * no }));
    expect(read(presence(...stamps.map(stampText)))).toEqual(stamps);
  });

  it('are not seen in entries that have none, even beside one that has', () => {
    const stamp = { user: 5, change: 6, sentAtUs: 7 };
    expect(read(presence('in a meeting', '', stampText(stamp), 'Later'))).toEqual([
      stamp,
      // "Later" begins as a stamp does: it is one of nobody, and the count shows it.
      { user: 0, change: 0, sentAtUs: 0 },
    ]);
    expect(read(Buffer.from('{"type":"presence","entries":[]}'))).toEqual([]);
  });

  it('at the very end of the bytes do not read beyond them', () => {
    const behind = Buffer.from('{"text":"L1,2,345678');
    expect(read(behind.subarray(0, behind.length - 3))).toEqual([{ user: 1, change: 2, sentAtUs: 345 }]);
  });
});
