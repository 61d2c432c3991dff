/** The form for the user to explain. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { asCurl, explainRequest, hubPrefix } from '../../hub/request-line.ts';
import { isolated } from '../../../ui/bidi.ts';
import type { Modules } from '../../modules.ts';
import { CallLine } from '../call-line.tsx';
import { useSignal } from '../hooks.ts';

export function FindUser({ modules: { access, explain } }: { readonly modules: Modules }) {
  const state = useSignal(explain.state);
  const explained = state.kind === 'nobody' ? '' : state.user;
  const [typed, setTyped] = useState(explained);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    setTyped(explained);
  }, [explained]);
  const submit = (event: Event): void => {
    event.preventDefault();
    explain.show(typed.trim());
  };
  const example = typed.trim() === '' ? '42' : typed.trim();
  return (
    <form class="find" role="search" aria-labelledby="find-title" onSubmit={submit} id="user">
      <h2 id="find-title">
        <label for="find">Why this status?</label>
      </h2>
      <input
        id="find"
        ref={input}
        type="search"
        placeholder="user id, e.g. 42"
        required
        maxLength={128}
        autocomplete="off"
        spellcheck={false}
        value={typed}
        onInput={({ currentTarget }) => {
          setTyped(currentTarget.value);
        }}
      />
      <button class="main">Explain</button>
      <CallLine
        text={asCurl(explainRequest(example), location.origin + hubPrefix(), access.token !== undefined)}
        of={`explain ${isolated(example)}`}
      />
    </form>
  );
}
