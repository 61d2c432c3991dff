/** The details of one friend in a native dialog, and the button to end the friendship, with a confirmation. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Entry } from '../../sdk/index.ts';
import { agoInWords, timeInWords } from '../../ui/ago.ts';
import { unfriend } from '../hub-api.ts';
import { Avatar } from './avatar.tsx';
import { CrossIcon } from './me.tsx';
import { Devices, IsolatedText } from './isolated-text.tsx';
import { describeLastSeen, statusLabel } from '../descriptions.ts';

interface FriendDetailsProps {
  readonly user: string;
  readonly entry: Entry;
  readonly isBehind: boolean;
  readonly now: number;
  readonly onClose: () => void;
  readonly onDone: (words: string) => void;
}

export function FriendDetails({ user, entry, isBehind, now, onClose, onDone }: FriendDetailsProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="card details"
      aria-labelledby="details-name"
      onClose={onClose}
      onClick={({ target }) => {
        // The target is the dialog itself only if the click is outside of its content.
        if (target === dialog.current) dialog.current?.close();
      }}
    >
      <div class="inside">
        <button type="button" class="icon close" aria-label="Close" onClick={() => dialog.current?.close()}>
          <CrossIcon />
        </button>
        <div class={`identity friend ${entry.status}`}>
          <Avatar user={entry.user} status={entry.status} />
          <div>
            <h2 id="details-name">{entry.user}</h2>
            <p class="word">{statusLabel(entry.status, isBehind)}</p>
          </div>
        </div>
        <Facts entry={entry} now={now} />
        <Unfriend user={user} friend={entry.user} onDone={onDone} />
      </div>
    </dialog>
  );
}

function Facts({ entry, now }: { readonly entry: Entry; readonly now: number }) {
  const { status, text, devices, since, lastSeen } = entry;
  const facts: readonly (readonly [name: string, fact: ComponentChildren])[] = [
    ['Status text', text === undefined || text === '' ? undefined : <IsolatedText>{text}</IsolatedText>],
    ['Device', devices.length === 0 ? undefined : <Devices of={devices} />],
    [
      'Since',
      since === null || status === 'offline' ? undefined : `${timeInWords(since, now)}, ${agoInWords(since, now)}`,
    ],
    ['Seen', describeLastSeen(entry, now)?.replace('Last seen ', '')],
    ['At', status === 'offline' && lastSeen !== null ? timeInWords(lastSeen, now) : undefined],
  ];
  return (
    <dl>
      {facts.map(([name, fact]) =>
        fact === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

interface UnfriendProps {
  readonly user: string;
  readonly friend: string;
  readonly onDone: (words: string) => void;
}

function Unfriend({ user, friend, onDone }: UnfriendProps) {
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string>();
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isAsking) keep.current?.focus();
  }, [isAsking]);
  const end = async (): Promise<void> => {
    const found = await unfriend(user, friend);
    setProblem(found);
    if (found === undefined) onDone(`${friend} is no longer a friend`);
  };
  return (
    <div class="unfriend">
      {isAsking ? (
        <>
          <p>You will be removed from each other’s lists.</p>
          <button type="button" ref={keep} onClick={() => setAsking(false)}>
            Keep
          </button>
          <button type="button" class="danger" onClick={() => void end()}>
            Unfriend {friend}
          </button>
        </>
      ) : (
        <button type="button" class="danger-quiet" onClick={() => setAsking(true)}>
          Unfriend…
        </button>
      )}
      <p class="problem" role="alert">
        {problem}
      </p>
    </div>
  );
}
