/**
 * What a page or worker tells of itself: the network comes and goes, the tab is looked at again, somebody gives input.
 * Loaded where there is something to hear: in Node there is not. Called by create.
 */
import type { Link } from './link.ts';
import { helpWhenUnreached } from './unreached.ts';
import type { PresenceClient } from './types.ts';

/** What only a person does. Scrolling is not, because pages scroll by themselves. `pageshow`: who goes back to a page is there. */
const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'pageshow'];
/** How often it is checked whether the focus is in a frame, or four times in the time that makes one away. */
const FRAME_EVERY_MS = 15_000;

type Listen = (target: EventTarget, types: readonly string[], listener: (event: Event) => void) => void;

/** Until the client is closed. */
export async function heedSurroundings(
  opening: Promise<Link>,
  client: PresenceClient,
  url: string,
  awayAfterMs: number | undefined,
): Promise<void> {
  if ('location' in globalThis) helpWhenUnreached(client, url);
  const link = await opening;
  const ending = new AbortController();
  const { signal } = ending;
  const listen: Listen = (target, types, listener) => {
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
  if (awayAfterMs !== undefined) {
    client.markActive();
    listenForInput(listen, () => client.markActive());
    // What is done in a frame of another origin is not told to this page.
    const look = (): void => {
      if (document.hasFocus() && isFrame(activeElementOf(document))) client.markActive();
    };
    const looking = setInterval(look, Math.min(awayAfterMs / 4, FRAME_EVERY_MS));
    signal.addEventListener('abort', () => clearInterval(looking));
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

function listenForInput(listen: Listen, onInput: () => void): void {
  let place = '';
  listen(globalThis, INPUTS, (event) => {
    // Scripts dispatch events, too.
    if (!event.isTrusted) return;
    if (event.type === 'pointermove') {
      // Some browsers tell of a pointer that rests when the page moves below it.
      const { screenX, screenY } = event as PointerEvent;
      const before = place;
      place = `${screenX} ${screenY}`;
      if (place === before) return;
    }
    onInput();
  });
}

/** Also in open shadow trees. */
function activeElementOf(root: DocumentOrShadowRoot): Element | null {
  const active = root.activeElement;
  return active?.shadowRoot ? activeElementOf(active.shadowRoot) : active;
}

function isFrame(element: Element | null): boolean {
  return /^(i?frame|object|embed)$/.test(element?.localName ?? '');
}
