import { describe, expect, it } from 'vitest';
import { describeProblem } from '../../../shared/messages/client-messages.ts';
import { friendsBody, heartbeatBody, importBody, presenceBody } from '../../../shared/messages/http-bodies.ts';

/** The field that the first fault names; undefined if there is no fault. */
function faultyField(form: typeof heartbeatBody | typeof friendsBody | typeof importBody, body: unknown) {
  const read = form.safeParse(body);
  return read.success ? undefined : describeProblem(read.error).split(':')[0];
}

describe('a heartbeat over HTTP', () => {
  it('needs its user alone, and may say all the rest', () => {
    const all = { user: '42', device: 'cron', status: 'online', text: 'x', ttlMs: 60_000 };
    expect(heartbeatBody.parse({ user: '42' })).toEqual({ user: '42' });
    expect(heartbeatBody.parse(all)).toEqual(all);
  });

  it('may say offline, unlike one over WebSocket', () => {
    expect(faultyField(heartbeatBody, { user: '42', status: 'offline' })).toBeUndefined();
  });

  it.each([1, 86_400_000])('may live %d ms', (ttlMs) => {
    expect(faultyField(heartbeatBody, { user: '42', ttlMs })).toBeUndefined();
  });

  it.each([0, -1, 1.5, 86_400_001, '1000', null])('may not live %s ms', (ttlMs) => {
    expect(faultyField(heartbeatBody, { user: '42', ttlMs })).toBe('ttlMs');
  });

  it.each<[string, string, object]>([
    ['user', 'there is none', {}],
    ['user', 'it is two dots', { user: '..' }],
    ['device', 'it is empty', { user: '42', device: '' }],
    ['status', 'nobody knows it', { user: '42', status: 'gone' }],
    ['text', 'it has 142 UTF-16 units in 71 emoji', { user: '42', text: '🙂'.repeat(71) }],
  ])('is refused with %s named if %s', (field, _why, body) => {
    expect(faultyField(heartbeatBody, body)).toBe(field);
  });
});

describe('lists over HTTP', () => {
  it('of users are as in a watch: 1 to 1000, each once', () => {
    expect(presenceBody.parse({ users: ['9', '7', '9'] })).toEqual({ users: ['9', '7'] });
    expect(presenceBody.safeParse({ users: [] }).success).toBe(false);
  });

  it('of friends may be empty, which ends every friendship, and longer than a watch', () => {
    const friends = Array.from({ length: 1001 }, (_, i) => String(i));
    expect(friendsBody.parse({ friends: [] })).toEqual({ friends: [] });
    expect(friendsBody.parse({ friends: [...friends, '0'] })).toEqual({ friends });
    expect(faultyField(friendsBody, { friends: ['7', ''] })).toBe('friends.1');
    expect(faultyField(friendsBody, {})).toBe('friends');
  });

  it('of edges are pairs of ids', () => {
    expect(importBody.parse({ edges: [['7', '9']] })).toEqual({ edges: [['7', '9']] });
    expect(faultyField(importBody, { edges: [] })).toBe('edges');
    expect(faultyField(importBody, { edges: [['7', '9'], ['7']] })).toBe('edges.1');
    expect(faultyField(importBody, { edges: [['7', '9', '11']] })).toBe('edges.0');
    expect(faultyField(importBody, { edges: [['7', '']] })).toBe('edges.0.1');
  });
});
