/**
 * What the page or worker tells of itself: the network comes and goes, the tab is looked at again, somebody gives input.
 * In Node there is nothing to hear. Called by create.
 */
import type { Link } from './link.ts';

const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'scroll'];
/** Input comes by the hundred; one word a second says as much. */
const INPUT_EVERY_MS = 1_000;

/** @returns what ends the listening. */
export function heedSurroundings(link: Link): () => void {
  const page = globalThis as Partial<Pick<Window, 'addEventListener' | 'document'>>;
  if (page.addEventListener === undefined) return () => undefined;
  const { document } = page;
  const ending = new AbortController();
  const listen = (
    target: Pick<Window, 'addEventListener'>,
    types: readonly string[],
    listener: (event: Event) => void,
  ) => {
    for (const type of types)
      target.addEventListener(type, listener, { signal: ending.signal, capture: true, passive: true });
  };
  let inputAt = 0;
  const input = ({ timeStamp }: Event): void => {
    if (timeStamp - inputAt < INPUT_EVERY_MS) return;
    inputAt = timeStamp;
    link.input();
  };
  listen(page as Window, ['online', 'pageshow'], () => link.wake());
  listen(page as Window, ['offline'], () => link.sleep());
  if (document !== undefined) {
    listen(page as Window, INPUTS, input);
    listen(document, ['visibilitychange'], (event) => {
      if (document.visibilityState !== 'visible') return;
      link.wake();
      input(event);
    });
  }
  return () => ending.abort();
}
