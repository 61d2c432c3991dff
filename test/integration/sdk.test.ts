/** The SDK in Node against a real hub: what an app is shown, over everything that happens to a connection. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { createPresenceClient, type PresenceClient, type PresenceClientOptions } from '../../client/sdk/index.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';

describe('the SDK at a hub', () => {
  let hub: TestHub;
  const clients: PresenceClient[] = [];
  const client = (options: PresenceClientOptions = {}): PresenceClient => {
    const made = createPresenceClient({ url: hub.addresses.http, WebSocket, ...options });
    clients.push(made);
    return made;
  };

  beforeEach(async () => {
    hub = await startTestHub();
  });
  afterEach(async () => {
    for (const one of clients.splice(0)) one.close();
    await hub.stop();
  });

  it('shows friends come, change and go', async () => {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const view = client({ user: '42' }).watchFriends();
    await new Promise<void>((resolve) => view.on('sync', () => resolve()));
    expect(view.get('7')).toMatchObject({ status: 'offline', devices: [] });
    const before = view.entries;
    const friend = client({ user: '7', device: 'phone', status: 'busy' });
    const seen = new Promise<void>((resolve) => view.on('change', () => resolve()));
    friend.connect();
    await seen;
    expect(view.get('7')).toMatchObject({ status: 'busy', devices: ['phone'] });
    expect(before.get('7')).toMatchObject({ status: 'offline' });
    const gone = new Promise<void>((resolve) => view.on('change', () => resolve()));
    await friend.leave();
    await gone;
    expect(view.get('7')).toMatchObject({ status: 'offline' });
    expect(friend.status).toBe('closed');
  });
});
