/** One user: what others see, why, its sessions, and its recent transitions. */
import { isolated } from '../../../ui/bidi.ts';
import { hubPrefix } from '../../hub/request-line.ts';
import type { Modules } from '../../modules.ts';
import type { Explained as State } from '../../explain/explain-user.ts';
import { viewOf } from '../../explain/explain-view.ts';
import { useSignal, useNow } from '../hooks.ts';
import { Sessions } from './sessions.tsx';
import { StatusMark } from '../status-mark.tsx';
import { IsolatedText } from '../isolated-text.tsx';
import { Transitions } from './transitions.tsx';

const COUNT_DOWN_EVERY_MS = 200;

export function Explained({ modules }: { readonly modules: Modules }) {
  const state = useSignal(modules.explain.state);
  if (state.kind === 'nobody') return null;
  return (
    <section class="explained card" aria-labelledby="explained-title">
      {state.kind === 'explained' ? (
        <Shown state={state} modules={modules} />
      ) : (
        <>
          <Heading user={state.user} modules={modules} />
          <p role="status">{state.kind === 'refused' ? state.why : 'Asking the hub…'}</p>
        </>
      )}
    </section>
  );
}

function Shown({ state, modules }: { readonly state: State & { kind: 'explained' }; readonly modules: Modules }) {
  const { explanation, aheadMs } = state;
  const isBehind = useSignal(modules.calls.unreachableSince) !== null;
  const ticking = useNow(COUNT_DOWN_EVERY_MS) + aheadMs;
  // If the explanation is out of date, its countdowns stop.
  const view = viewOf(explanation, isBehind ? explanation.at : ticking);
  const { entry, decision } = explanation;
  return (
    <>
      <Heading user={explanation.user} status={entry.status} said={view.headline} modules={modules} />
      <p class="seen">
        {view.seen}
        {entry.text !== undefined && (
          <q>
            <IsolatedText>{entry.text}</IsolatedText>
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
      {explanation.stale === true && <p class="warn">The hub is stale: this may be out of date.</p>}
      <div class="halves">
        <Sessions user={explanation.user} rows={view.sessions} modules={modules} />
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
          <IsolatedText>{device}</IsolatedText>
        </>
      ))}
    </span>
  );
}

interface HeadingProps {
  readonly user: string;
  readonly status?: string;
  readonly said?: string;
  readonly modules: Modules;
}

function Heading({ user, status, said, modules }: HeadingProps) {
  return (
    <div class="heading">
      <h2 id="explained-title">
        {status !== undefined && <StatusMark status={status} />} <IsolatedText class="id">{user}</IsolatedText> {said}
      </h2>
      <a href={`${hubPrefix()}/?user=${encodeURIComponent(user)}`} target="_blank" rel="noopener noreferrer">
        Friend page
        <span class="unseen">
          {' '}
          of <IsolatedText>{user}</IsolatedText>, in a new tab
        </span>{' '}
        ↗
      </a>
      <button
        type="button"
        class="quiet"
        aria-label={`Close ${isolated(user)}`}
        onClick={() => {
          modules.explain.show('');
        }}
      >
        ✕
      </button>
    </div>
  );
}
