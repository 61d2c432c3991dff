import { describe, expect, test } from 'vitest';
import { Admission } from '../../server/admission.ts';

describe('how many may be connected', () => {
  test('one more than the whole hub takes is refused until somebody leaves', () => {
    const admission = new Admission({ maxConnections: 2, maxPerAddress: 2 });
    expect([admission.enter('10.0.0.1'), admission.enter('10.0.0.2')]).toEqual([undefined, undefined]);
    expect(admission.enter('10.0.0.3')).toBe('connections');
    admission.leave('10.0.0.1');
    expect(admission.enter('10.0.0.3')).toBeUndefined();
  });

  test('an address that has its share is refused, and the others are not', () => {
    const admission = new Admission({ maxConnections: 100, maxPerAddress: 1 });
    expect(admission.enter('10.0.0.1')).toBeUndefined();
    expect(admission.enter('10.0.0.1')).toBe('per_address');
    expect(admission.enter('::ffff:10.0.0.1')).toBe('per_address');
    expect(admission.enter('10.0.0.2')).toBeUndefined();
    admission.leave('10.0.0.1');
    expect(admission.enter('10.0.0.1')).toBeUndefined();
  });

  test('a host with an IPv6 network of its own is one address, and its neighbour another (S10)', () => {
    const admission = new Admission({ maxConnections: 100, maxPerAddress: 1 });
    expect(admission.enter('2001:db8:1:2::1')).toBeUndefined();
    expect(admission.enter('2001:db8:1:2:ffff:1:2:3')).toBe('per_address');
    expect(admission.enter('2001:db8:1:3::1')).toBeUndefined();
    expect(admission.enter('2001:db8::1')).toBeUndefined();
    admission.leave('2001:db8:1:2::9');
    expect(admission.enter('2001:db8:1:2::7')).toBeUndefined();
  });

  test('who was refused did not count', () => {
    const admission = new Admission({ maxConnections: 1, maxPerAddress: 1 });
    admission.enter('10.0.0.1');
    for (let i = 0; i < 5; i++) admission.enter('10.0.0.2');
    admission.leave('10.0.0.1');
    expect(admission.enter('10.0.0.2')).toBeUndefined();
  });
});
