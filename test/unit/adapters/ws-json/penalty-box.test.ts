import { describe, expect, it } from 'vitest';
import { PenaltyBox } from '../../../../server/adapters/ws-json/penalty-box.ts';

const FOR_MS = 10_000;
const MOST = 10_000;

describe('addresses that flooded', () => {
  it('are remembered for 10 s from the last time, and no others are', () => {
    const box = new PenaltyBox();
    expect(box.untilOf('192.0.2.7')).toBe(0);
    box.add('192.0.2.7', 1_000);
    box.add('192.0.2.7', 4_000);
    expect(box.untilOf('192.0.2.7')).toBe(4_000 + FOR_MS);
    expect(box.untilOf('192.0.2.8')).toBe(0);
  });

  it('are remembered with their whole IPv6 network', () => {
    const box = new PenaltyBox();
    box.add('2001:db8:1:2::1', 0);
    expect(box.untilOf('2001:db8:1:2:3:4:5:6')).toBe(FOR_MS);
    expect(box.untilOf('2001:db8:1:3::1')).toBe(0);
  });

  it('are remembered up to a number, the latest of them', () => {
    const box = new PenaltyBox();
    const addresses = Array.from({ length: MOST + 2 }, (_, no) => `10.0.${no >> 8}.${no & 255}`);
    box.add(addresses[0]!, 0);
    for (const address of addresses) box.add(address, 1);
    expect(addresses.filter((address) => box.untilOf(address) === 0)).toEqual(addresses.slice(0, 2));
  });

  it('are forgotten when their time is over and another comes', () => {
    const box = new PenaltyBox();
    box.add('192.0.2.7', 0);
    box.add('192.0.2.8', FOR_MS - 1);
    expect(box.untilOf('192.0.2.7')).toBe(FOR_MS);
    box.add('192.0.2.9', FOR_MS);
    expect(box.untilOf('192.0.2.7')).toBe(0);
    expect(box.untilOf('192.0.2.8')).toBe(2 * FOR_MS - 1);
  });
});
