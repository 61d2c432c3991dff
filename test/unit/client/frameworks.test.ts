/** The SDK's objects in the hands of frameworks that wrap what they hold. */
import { isReactive, reactive } from '@vue/reactivity';
import { expect, it } from 'vitest';
import { createPresenceClient } from '../../../client/sdk/index.ts';

it('a client and a view work in a reactive object of Vue', async () => {
  class Socket {
    readonly readyState = 0;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;
    send(): void {}
    close(): void {}
  }
  const client = createPresenceClient({ url: 'ws://hub', user: '42', WebSocket: Socket });
  const state = reactive({ client, view: client.watch(['7']) });
  expect([isReactive(state.client), isReactive(state.view)]).toEqual([false, false]);
  state.client.on('status', () => undefined);
  state.client.set({ text: 'here' });
  expect(state.client.staleSince).toBeNull();
  expect(state.view.get('7')).toBeUndefined();
  state.view.close();
  state.client.close();
});
