/**
 * Reacts to events of a page or worker: the network changes, the tab becomes visible, or there is input. Loaded only if
 * there are such events, which Node lacks.
 */
import type { Client } from '../client.ts';
import type { Link } from './link.ts';
import { helpWhenUnreached } from './unreached.ts';

/**
 * Events that only a person causes. Scrolling is not one, because pages can scroll without input. `pageshow`: a person
 * who returns to a page is active.
 */
const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'pageshow'];
/** How often to check whether the focus is in a frame. It is a quarter of the away time if that is less. */
const FRAME_EVERY_MS = 15_000;

type Listen = (target: EventTarget, types: readonly string[], listener: (event: Event) => void) => void;

/** Listens until the client is closed. */
export async function heedSurroundings(
  opening: Promise<Link>,
  client: Client,
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
  // A browser that reports being offline may be wrong: only the connection knows.
  listen(globalThis, ['online', 'offline', 'pageshow'], () => link.check());
  const { document } = globalThis as { document?: Document };
  if (document === undefined) return;
  if (awayAfterMs !== undefined) {
    client.markActive();
    listenForInput(listen, () => client.markActive());
    // The page receives no events for input in a frame of another origin.
    const look = (): void => {
      if (document.hasFocus() && isFrame(activeElementOf(document))) client.markActive();
    };
    const looking = setInterval(look, Math.min(awayAfterMs / 4, FRAME_EVERY_MS));
    signal.addEventListener('abort', () => clearInterval(looking));
    // A frozen page cannot report later that nobody is active, and the browser answers the hub's pings for it.
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
    // Scripts dispatch events too.
    if (!event.isTrusted) return;
    if (event.type === 'pointermove') {
      // Some browsers send this event for a resting pointer if the page moves below it.
      const { screenX, screenY } = event as PointerEvent;
      const before = place;
      place = `${screenX} ${screenY}`;
      if (place === before) return;
    }
    onInput();
  });
}

/** Finds the element in open shadow trees too. */
function activeElementOf(root: DocumentOrShadowRoot): Element | null {
  const active = root.activeElement;
  return active?.shadowRoot ? activeElementOf(active.shadowRoot) : active;
}

function isFrame(element: Element | null): boolean {
  return /^(i?frame|object|embed)$/.test(element?.localName ?? '');
}
