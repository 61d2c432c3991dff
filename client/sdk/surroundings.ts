/**
 * What a page or worker tells of itself: the network comes and goes, the tab is looked at again, somebody gives input.
 * Loaded where there is something to hear: in Node there is not. Called by create.
 */
import type { Link } from './link.ts';
import { helpWhenUnreached } from './unreached.ts';
import type { PresenceClient, PresenceClientOptions } from './types.ts';

/** `pageshow`: who goes back to a page is there. */
const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'scroll', 'pageshow'];
/** Input comes by the hundred; one word a second says as much, or four in the time that makes one away. */
const INPUT_EVERY_MS = 1_000;
const AWAY_AFTER_MS = 5 * 60_000;

/** Until the client is closed. */
export async function heedSurroundings(
  opening: Promise<Link>,
  client: PresenceClient,
  url: string,
  idle: PresenceClientOptions['idle'],
): Promise<void> {
  if ('location' in globalThis) helpWhenUnreached(client, url);
  const link = await opening;
  const ending = new AbortController();
  const { signal } = ending;
  const listen = (target: EventTarget, types: readonly string[], listener: (event: Event) => void): void => {
    for (const type of types) target.addEventListener(type, listener, { signal, capture: true, passive: true });
  };
  client.on('status', ({ status }) => {
    if (status === 'closed') ending.abort();
  });
  if (client.status === 'closed') return;
  // A browser that says it is offline may be wrong: only the connection knows.
  listen(globalThis, ['online', 'offline', 'pageshow'], () => link.check());
  const { document } = globalThis as { document?: Document };
  if (document === undefined) return;
  if (idle !== false) {
    const awayAfterMs = idle?.awayAfterMs ?? AWAY_AFTER_MS;
    const everyMs = Math.min(INPUT_EVERY_MS, awayAfterMs / 4);
    let toldAt = -Infinity;
    const input = (): void => {
      if (performance.now() - toldAt < everyMs) return;
      toldAt = performance.now();
      link.input(awayAfterMs);
    };
    input();
    listen(globalThis, INPUTS, input);
    // A page that is frozen can't say later that nobody is there, and the browser answers the hub's pings for it.
    let isLeft = false;
    listen(globalThis, ['pagehide', 'pageshow'], ({ type }) => (isLeft = type === 'pagehide'));
    listen(document, ['freeze'], () => {
      if (!isLeft) link.input(0);
    });
  }
  listen(document, ['visibilitychange', 'resume'], () => {
    if (document.visibilityState === 'visible') link.check();
  });
}
