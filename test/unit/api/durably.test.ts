import { describe, expect, it } from 'vitest';
import { durably } from '../../../server/api/durably.ts';
import { noContent } from '../../../server/api/reply.ts';

describe('a change that must be stored', () => {
  it('is answered as it says where storage takes it', () => {
    expect(durably(noContent)).toEqual(noContent());
  });

  it('is 503 in plain words where storage fails', () => {
    const full = Object.assign(new Error('database or disk is full'), { errcode: 13 });
    const reply = durably(() => {
      throw full;
    });
    expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(String(reply.body))).toMatchObject({ detail: expect.stringContaining('no room left') as string });
  });

  it('throws a bug on, which is no trouble of storage: the change may have been made', () => {
    const bug = (): never => {
      throw new TypeError('x is undefined');
    };
    expect(() => durably(bug)).toThrow(TypeError);
  });
});
