/**
 * Text that a client of the hub, or an address, chose. It is isolated, so that it cannot change the direction of its
 * surroundings.
 */
import { isolable } from '../../ui/bidi.ts';

export function IsolatedText({ children, class: name }: { readonly children: string; readonly class?: string }) {
  return <bdi class={name}>{isolable(children)}</bdi>;
}
