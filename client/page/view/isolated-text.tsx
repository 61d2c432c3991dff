/** Text that other people chose. It is isolated, so that it cannot change the direction of its surroundings. */
import { isolable } from '../../ui/bidi.ts';

export function IsolatedText({ children }: { readonly children: string }) {
  return <bdi>{isolable(children)}</bdi>;
}

export function Devices({ of }: { readonly of: readonly string[] }) {
  return (
    <>
      {of.map((device, i) => (
        <>
          {i > 0 && ', '}
          <IsolatedText>{device}</IsolatedText>
        </>
      ))}
    </>
  );
}
