import { describe, expect, it } from 'vitest';
import { PenaltyBox } from '../../../../server/adapters/ws-json/penalty-box.ts';

const FOR_MS = 10_000;
const MOST = 10_000;

describe('addresses that flooded', () => {
  it('are suspects for 10 s from the last time, and no others are', () => {
    const suspects = new PenaltyBox();
    expect(suspects.untilOf('192.0.2.7')).toBe(0);
    suspects.add('192.0.2.7', 1_000);
    suspects.add('192.0.2.7', 4_000);
    expect(suspects.untilOf('192.0.2.7')).toBe(4_000 + FOR_MS);
    expect(suspects.untilOf('192.0.2.8')).toBe(0);
  });

  it('are suspects with their whole IPv6 network', () => {
    const suspects = new PenaltyBox();
    suspects.add('2001:db8:1:2::1', 0);
    expect(suspects.untilOf('2001:db8:1:2:3:4:5:6')).toBe(FOR_MS);
    expect(suspects.untilOf('2001:db8:1:3::1')).toBe(0);
  });

  it('are remembered up to a number, the latest of them', () => {
    const suspects = new PenaltyBox();
    const addresses = Array.from({ length: MOST + 2 }, (_, no) => `10.0.${no >> 8}.${no & 255}`);
    suspects.add(addresses[0]!, 0);
    for (const address of addresses) suspects.add(address, 1);
    expect(addresses.filter((address) => suspects.untilOf(address) === 0)).toEqual(addresses.slice(0, 2));
  });

  it('are forgotten when their time is over and another comes', () => {
    const suspects = new PenaltyBox();
    suspects.add('192.0.2.7', 0);
    suspects.add('192.0.2.8', FOR_MS - 1);
    expect(suspects.untilOf('192.0.2.7')).toBe(FOR_MS);
    suspects.add('192.0.2.9', FOR_MS);
    expect(suspects.untilOf('192.0.2.7')).toBe(0);
    expect(suspects.untilOf('192.0.2.8')).toBe(2 * FOR_MS - 1);
  });
});
