/** Words that a client of the hub, or an address, chose. Isolated, they can't turn the direction of what stands around them. */
import { isolable } from '../../ui/bidi.ts';

export function Theirs({ children, class: name }: { readonly children: string; readonly class?: string }) {
  return <bdi class={name}>{isolable(children)}</bdi>;
}
