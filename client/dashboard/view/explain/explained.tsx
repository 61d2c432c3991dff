/** One user: what others see, why, its sessions, and its recent transitions. */
import { isolated } from '../../../ui/bidi.ts';
import type { Rooms } from '../../rooms.ts';
import type { Explained as State } from '../../explain/explain-user.ts';
import { viewOf } from '../../explain/explain-view.ts';
import { useCell, useNow } from '../hooks.ts';
import { Sessions } from './sessions.tsx';
import { StatusMark } from '../status-mark.tsx';
import { Theirs } from '../theirs.tsx';
import { Transitions } from './transitions.tsx';

const COUNT_DOWN_EVERY_MS = 200;

export function Explained({ rooms }: { readonly rooms: Rooms }) {
  const state = useCell(rooms.explain.state);
  if (state.kind === 'nobody') return null;
  return (
    <section class="explained card" aria-labelledby="explained-title">
      {state.kind === 'explained' ? (
        <Shown state={state} rooms={rooms} />
      ) : (
        <>
          <Heading user={state.user} rooms={rooms} />
          <p role="status">{state.kind === 'refused' ? state.why : 'Asking the hub…'}</p>
        </>
      )}
    </section>
  );
}

function Shown({ state, rooms }: { readonly state: State & { kind: 'explained' }; readonly rooms: Rooms }) {
  const { explanation, aheadMs } = state;
  const isBehind = useCell(rooms.calls.link) !== null;
  const ticking = useNow(COUNT_DOWN_EVERY_MS) + aheadMs;
  // If the explanation is out of date, its countdowns stop.
  const view = viewOf(explanation, isBehind ? explanation.at : ticking);
  const { entry, decision } = explanation;
  return (
    <>
      <Heading user={explanation.user} status={entry.status} said={view.headline} rooms={rooms} />
      <p class="seen">
        {view.seen}
        {entry.text !== undefined && (
          <q>
            <Theirs>{entry.text}</Theirs>
          </q>
        )}
        {entry.devices.length > 0 && <Devices of={entry.devices} />}
      </p>
      <p class="rule">
        <b>Why:</b> {decision.rule}
      </p>
      {view.hidden.map((sentence) => (
        <p key={sentence} class="warn">
          {sentence}
        </p>
      ))}
      {explanation.stale === true && <p class="warn">The hub is stale: what it says may be behind.</p>}
      <div class="halves">
        <Sessions user={explanation.user} rows={view.sessions} rooms={rooms} />
        <Transitions rows={view.transitions} note={view.transitionsNote} />
      </div>
    </>
  );
}

function Devices({ of }: { readonly of: readonly string[] }) {
  return (
    <span class="faint">
      {of.map((device, i) => (
        <>
          {i === 0 ? ' on ' : ', '}
          <Theirs>{device}</Theirs>
        </>
      ))}
    </span>
  );
}

interface HeadingProps {
  readonly user: string;
  readonly status?: string;
  readonly said?: string;
  readonly rooms: Rooms;
}

function Heading({ user, status, said, rooms }: HeadingProps) {
  return (
    <div class="heading">
      <h2 id="explained-title">
        {status !== undefined && <StatusMark status={status} />} <Theirs class="id">{user}</Theirs> {said}
      </h2>
      <a href={`/?user=${encodeURIComponent(user)}`} target="_blank" rel="noopener noreferrer">
        Friend page
        <span class="unseen">
          {' '}
          of <Theirs>{user}</Theirs>, in a new tab
        </span>{' '}
        ↗
      </a>
      <button
        type="button"
        class="quiet"
        aria-label={`Close ${isolated(user)}`}
        onClick={() => {
          rooms.explain.look('');
        }}
      >
        ✕
      </button>
    </div>
  );
}
