/** A client that was closed for its rate and comes back at once: through real sockets, from addresses of loopback. */
import { afterEach, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { WsClient } from '../support/ws-client.ts';

const PER_S = 5;
const BURST = 10 * PER_S;

let hub: TestHub;
afterEach(() => hub.stop());

const hello = (localAddress: string) => WsClient.hello(hub.addresses.ws, { user: '42' }, { localAddress });

/** Says more than may wait. @returns how much was handled before it was closed. */
async function flood(client: WsClient): Promise<number> {
  for (let id = 0; id < 12 * BURST; id++) client.send({ type: 'heartbeat', id });
  expect(await client.closed).toBe(4429);
  return client.all.filter(({ type }) => type === 'ok').length;
}

/** Of the messages that are handled at once, the last one goes over the rate. */
const MOST_OVER = 1;

// The other engine stops reading instead.
describe('an address whose connection was closed with 4429', needing('uWebSockets.js'), () => {
  const transport = 'uws';

  it('has no burst on its next ones for 10 s, and all that the rate allows; others have theirs (W21)', async () => {
    hub = await startTestHub({ transport, messagesPerS: PER_S });
    const helloToo = 1;
    expect(await flood(await hello('127.0.0.2'))).toBe(BURST - helloToo + MOST_OVER);
    expect(await flood(await hello('127.0.0.2'))).toBe(PER_S - helloToo + MOST_OVER);
    expect(await flood(await hello('127.0.0.3'))).toBe(BURST - helloToo + MOST_OVER);
    hub.clock.pass(9_000);
    await hub.looked();
    expect(await flood(await hello('127.0.0.2'))).toBe(PER_S - helloToo + MOST_OVER);
    hub.clock.pass(10_100);
    await hub.looked();
    expect(await flood(await hello('127.0.0.2'))).toBe(BURST - helloToo + MOST_OVER);
    expect(await hub.metric('presence_hub_refused_total{reason="messages"}')).toBeGreaterThan(0);
  });

  it('is none for a connection that ended otherwise', async () => {
    hub = await startTestHub({ transport, messagesPerS: PER_S });
    const first = await hello('127.0.0.2');
    first.send({ type: 'bye' });
    expect(await first.closed).toBe(1000);
    const second = await hello('127.0.0.2');
    for (let bad = 0; bad < 10; bad++) second.send('nonsense');
    await second.closed;
    expect(await flood(await hello('127.0.0.2'))).toBe(BURST - 1 + MOST_OVER);
  });
});
