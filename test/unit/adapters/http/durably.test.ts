import { describe, expect, it } from 'vitest';
import { durably } from '../../../../server/adapters/http/durably.ts';
import { StorageUnavailable } from '../../../../server/lib/storage-unavailable.ts';
import { noContent } from '../../../../server/adapters/http/reply.ts';

describe('a change that must be stored', () => {
  it('returns its own answer if storage works', async () => {
    expect(await durably(noContent)).toEqual(noContent());
  });

  it('is 503 with a clear message if storage fails (H17)', async () => {
    const full = new StorageUnavailable('has no room left', new Error('database or disk is full'));
    const reply = await durably(() => {
      throw full;
    });
    expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(String(reply.body))).toMatchObject({ detail: expect.stringContaining('no room left') as string });
  });

  it('throws a bug on, which is no trouble of storage: the change may have been made', async () => {
    const bug = (): never => {
      throw new TypeError('x is undefined');
    };
    await expect(durably(bug)).rejects.toThrow(TypeError);
  });
});
