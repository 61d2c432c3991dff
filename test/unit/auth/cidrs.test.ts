/** Sets of addresses as settings name them. */
import { describe, expect, it } from 'vitest';
import { canonicalAddress, parseCidrs, type Cidrs } from '../../../server/auth/cidrs.ts';

function cidrsOf(text: string): Cidrs {
  const read = parseCidrs('HUB_TCP_ALLOW', text);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

describe('a set of addresses', () => {
  it.each<[string, string[], string[]]>([
    ['10.0.0.7', ['10.0.0.7', '::ffff:10.0.0.7'], ['10.0.0.8', '::1']],
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.1.1'], ['9.255.255.255', '11.0.0.0']],
    ['10.1.2.3/8', ['10.9.9.9'], ['11.0.0.0']],
    ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127']],
    ['10.0.0.6/31', ['10.0.0.6', '10.0.0.7'], ['10.0.0.8', '10.0.0.5']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255', '::ffff:1.2.3.4'], ['::1', '2001:db8::1']],
    ['::/0', ['::', '::1', 'ffff::'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '127.0.0.1']],
    ['fd00::/8', ['fd00::', 'FDFF::1'], ['fc00::1', 'fe00::1']],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::1']],
    ['2001:db8::7/128', ['2001:db8::7'], ['2001:db8::6']],
    ['fe80::/10', ['fe80::1%eth0'], ['fec0::1%eth0']],
    ['::ffff:10.0.0.0/104', ['10.1.1.1', '::ffff:10.1.1.1'], ['11.0.0.0']],
    ['::ffff:10.0.0.7', ['10.0.0.7'], ['10.0.0.8']],
    ['10.0.0.0/8, ::1 ,192.0.2.7', ['10.1.1.1', '::1', '192.0.2.7'], ['192.0.2.8']],
  ])('"%s" holds %j and not %j', (text, inside, outside) => {
    const cidrs = cidrsOf(text);
    expect(cidrs.isEmpty).toBe(false);
    expect(inside.filter((address) => !cidrs.contains(address))).toEqual([]);
    expect(outside.filter((address) => cidrs.contains(address))).toEqual([]);
  });

  it.each(['', '  '])('%j is empty and holds nothing', (text) => {
    expect(cidrsOf(text).isEmpty).toBe(true);
    expect(cidrsOf(text).contains('127.0.0.1')).toBe(false);
  });

  it.each(['', 'localhost', '10.0.0', '10.0.0.1:80', '010.0.0.1', '10.0.0.1/8'])(
    'never holds %j by ::/0',
    (address) => {
      expect(cidrsOf('::/0, 0.0.0.0/0').contains(address)).toBe(false);
    },
  );

  it.each([
    ['10.0.0.0/33'],
    ['::/129'],
    ['10.0.0.0/-1'],
    ['10.0.0.0/08'],
    ['10.0.0.0/'],
    ['10.0.0.0/8/8'],
    ['10.0.0.0/255.0.0.0'],
    ['10/8'],
    ['010.0.0.0/8'],
    ['::ffff:10.0.0.0/95'],
    ['fe80::1%eth0'],
    ['example.com'],
    ['*'],
  ])('can’t be made of "%s", and the fault names setting and entry', (entry) => {
    expect(parseCidrs('HUB_TCP_ALLOW', `127.0.0.1, ${entry}`)).toEqual({
      ok: false,
      problem: expect.stringContaining(`HUB_TCP_ALLOW holds "${entry}"`) as unknown,
    });
  });

  it('can’t be made of a list with nothing between two commas', () => {
    expect(parseCidrs('HUB_TCP_ALLOW', '10.0.0.1,,::1')).toMatchObject({ ok: false });
  });
});

describe('an address', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['::FFFF:a00:7', '10.0.0.7'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['10.0.0', undefined],
    ['', undefined],
  ])('%j has the one text %j', (address, canonical) => {
    expect(canonicalAddress(address)).toBe(canonical);
  });
});
