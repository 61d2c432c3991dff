/** The form for the user to explain. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { asCurl, explainRequest } from '../../hub/request-line.ts';
import { isolated } from '../../../ui/bidi.ts';
import type { Rooms } from '../../rooms.ts';
import { CallLine } from '../call-line.tsx';
import { useCell } from '../hooks.ts';

export function FindUser({ rooms: { access, explain } }: { readonly rooms: Rooms }) {
  const state = useCell(explain.state);
  const looked = state.kind === 'nobody' ? '' : state.user;
  const [typed, setTyped] = useState(looked);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    setTyped(looked);
  }, [looked]);
  const submit = (event: Event): void => {
    event.preventDefault();
    explain.look(typed.trim());
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
        text={asCurl(explainRequest(example), location.origin, access.token !== undefined)}
        of={`explain ${isolated(example)}`}
      />
    </form>
  );
}
