/** The form to add a friend by id. An error of the hub is shown below the field, which keeps its text. */
import { useState } from 'preact/hooks';
import { befriend } from '../hub-api.ts';

interface BefriendProps {
  readonly user: string;
  readonly onDone: (words: string) => void;
}

export function Befriend({ user, onDone }: BefriendProps) {
  const [friend, setFriend] = useState('');
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const add = async (): Promise<void> => {
    const wanted = friend.trim();
    if (wanted === '' || isBusy) return;
    setBusy(true);
    const found = await befriend(user, wanted);
    setBusy(false);
    setProblem(found?.replace(/^friend: must/, 'A user id must'));
    if (found !== undefined) return;
    setFriend('');
    onDone(`${wanted} is now a friend`);
  };
  return (
    <form
      class="befriend"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <label for="friend">Add a friend</label>
      <div class="field">
        <input
          id="friend"
          value={friend}
          placeholder="Their user id"
          required
          maxLength={128}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          aria-invalid={problem !== undefined}
          aria-describedby="befriend-problem"
          onInput={({ currentTarget }) => {
            setFriend(currentTarget.value);
            setProblem(undefined);
          }}
        />
        <button class="primary" aria-disabled={isBusy}>
          Add
        </button>
      </div>
      <p id="befriend-problem" class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
