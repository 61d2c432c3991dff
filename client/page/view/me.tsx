/** The user's own card: the status and text that the user sets, and what others see if that differs. */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Self, SessionStatus } from '../../sdk/index.ts';
import type { Mine } from '../local-storage.ts';
import { Avatar, StatusMark } from './avatar.tsx';
import { ThemeButton } from './theme-button.tsx';
import { fitting, limit } from '../text-limit.ts';
import { Devices } from './isolated-text.tsx';
import { statusLabels } from '../descriptions.ts';

const CHOICES: readonly SessionStatus[] = ['online', 'away', 'busy', 'invisible'];

interface MeProps {
  readonly user: string;
  readonly mine: Mine;
  readonly self: Self | null;
  readonly isConnected: boolean;
  readonly onSet: (mine: Partial<Mine>) => void;
  readonly onSwitch: () => void;
}

export function Me({ user, mine, self, isConnected, onSet, onSwitch }: MeProps) {
  return (
    <section class="card me" aria-label="Me">
      <div class="identity">
        <Avatar user={user} status={isConnected ? (self?.status ?? mine.status) : 'offline'} />
        <div>
          <h2>{user}</h2>
          <p class="quiet">
            {isConnected ? <SeenAs mine={mine} self={self} /> : 'Not connected'}{' '}
            <button type="button" class="link" onClick={onSwitch}>
              Switch user
            </button>
          </p>
        </div>
        <ThemeButton />
      </div>
      <fieldset class="choices">
        <legend class="hidden-text">My status</legend>
        {CHOICES.map((status) => (
          <label key={status} class="choice">
            <input
              type="radio"
              name="status"
              value={status}
              checked={mine.status === status}
              onChange={() => onSet({ status })}
            />
            <StatusMark status={status} />
            <span>{statusLabels[status]}</span>
          </label>
        ))}
      </fieldset>
      <MyText text={mine.text} onSet={(text) => onSet({ text })} />
    </section>
  );
}

function SeenAs({ mine, self }: Pick<MeProps, 'mine' | 'self'>) {
  if (self === null) return null;
  if (self.status === 'invisible') return <>Others see you offline</>;
  const word = statusLabels[self.status];
  return (
    <>
      {self.status === mine.status ? word : `Others see you ${word.toLowerCase()}`}
      {self.devices.length > 0 && ' on '}
      <Devices of={self.devices} />
    </>
  );
}

interface MyTextProps {
  readonly text: string;
  readonly onSet: (text: string) => void;
}

/** Sends the text on Enter or on leaving the field. Escape restores the old text. */
function MyText({ text, onSet }: MyTextProps) {
  const [draft, setDraft] = useState(text);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setDraft(text), [text]);
  useOnComposed(field, (input) => setDraft(limit(input)));
  const say = (wanted: string): void => {
    const said = fitting(wanted.trim());
    setDraft(said);
    if (said !== text) onSet(said);
  };
  return (
    <form
      class="my-text"
      onSubmit={(event) => {
        event.preventDefault();
        say(draft);
      }}
    >
      <label class="hidden-text" for="my-text">
        What I am doing
      </label>
      <input
        ref={field}
        id="my-text"
        value={draft}
        autocomplete="off"
        placeholder="What are you doing?"
        onInput={({ currentTarget, isComposing }) => setDraft(isComposing ? currentTarget.value : limit(currentTarget))}
        onBlur={() => say(draft)}
        onKeyDown={({ key }) => {
          if (key === 'Escape') setDraft(text);
        }}
      />
      {draft !== '' && (
        <button type="button" class="icon" aria-label="Clear the text" onClick={() => say('')}>
          <CrossIcon />
        </button>
      )}
    </form>
  );
}

/**
 * Calls the listener when an input method is done. Preact treats `onCompositionEnd` as an event with exactly that name.
 */
function useOnComposed(field: RefObject<HTMLInputElement>, listener: (input: HTMLInputElement) => void): void {
  useEffect(() => {
    const input = field.current;
    if (input === null) return undefined;
    const onEnd = (): void => listener(input);
    input.addEventListener('compositionend', onEnd);
    return () => input.removeEventListener('compositionend', onEnd);
  }, [field]);
}

export function CrossIcon() {
  return (
    <svg viewBox="0 0 16 16" class="line-icon" aria-hidden="true" focusable="false">
      <path d="M4 4l8 8M12 4l-8 8" />
    </svg>
  );
}
