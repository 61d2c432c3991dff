import { describe, expect, test } from 'vitest';
import { HttpBody } from '../../../server/sockets/http-body.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a body that comes in pieces', () => {
  test('is one text, even if a character is split between two pieces', () => {
    const body = new HttpBody(0);
    const all = bytes('日本');
    expect(body.add(all.subarray(0, 2))).toBe('ok');
    expect(body.add(all.subarray(2))).toBe('ok');
    expect(body.text()).toBe('日本');
  });

  test('never holds more than twice its size, apart from the smallest buffer', () => {
    const body = new HttpBody(0);
    let sent = 0;
    for (let i = 1; i < 2_000; i++) {
      const piece = new Uint8Array(100 + (i % 37));
      sent += piece.length;
      body.add(piece);
      expect(body.heldBytes).toBeLessThanOrEqual(Math.max(256, 2 * sent));
    }
  });

  test('is too large from 256 KiB on, and holds nothing then', () => {
    const body = new HttpBody(0);
    expect(body.add(new Uint8Array(256 * 1024))).toBe('ok');
    expect(body.add(new Uint8Array(1))).toBe('too_large');
    expect(body.heldBytes).toBe(0);
  });

  test('is a flood if it comes in many tiny pieces, or goes on far beyond the limit', () => {
    const tiny = new HttpBody(0);
    const states = Array.from({ length: 300 }, () => tiny.add(bytes('x')));
    expect(states.indexOf('flood')).toBe(260);
    const endless = new HttpBody(0);
    let pieces = 0;
    while (endless.add(new Uint8Array(64 * 1024)) !== 'flood') pieces++;
    expect(pieces).toBe(36);
  });
});
