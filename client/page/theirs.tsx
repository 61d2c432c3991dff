/** Words that people other than the page's authors chose. Isolated, they can't turn the direction of what stands around them. */
import { isolable } from '../ui/bidi.ts';

export function Theirs({ children }: { readonly children: string }) {
  return <bdi>{isolable(children)}</bdi>;
}

export function Devices({ of }: { readonly of: readonly string[] }) {
  return (
    <>
      {of.map((device, i) => (
        <>
          {i > 0 && ', '}
          <Theirs>{device}</Theirs>
        </>
      ))}
    </>
  );
}
