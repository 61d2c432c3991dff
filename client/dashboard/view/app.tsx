/** The whole page: the token form, errors, the numbers, the explained user, the plots and the tail. */
import { useEffect } from 'preact/hooks';
import { formatDuration, formatTime } from '../../ui/ago.ts';
import { hubPrefix } from '../hub/request-line.ts';
import type { Modules } from '../modules.ts';
import { Explained } from './explain/explained.tsx';
import { FindUser } from './explain/find-user.tsx';
import { useSignal, useNow } from './hooks.ts';
import { Numbers } from './numbers/numbers.tsx';
import { Plots } from './numbers/plots.tsx';
import { People } from './people/people.tsx';
import { TailView } from './tail/tail.tsx';
import { TokenForm } from './token-form.tsx';

interface AppProps {
  readonly modules: Modules;
  /** Shows the page "Who is online" instead of the dashboard's first page. */
  readonly isPeople: boolean;
}

export function App({ modules, isPeople }: AppProps) {
  const access = useSignal(modules.access.state);
  const downSince = useSignal(modules.calls.unreachableSince);
  const wasLetIn = useSignal(modules.scraper.turns) > 0 && modules.history.isBegun;
  const isBehind = downSince !== null || access.kind === 'asking';
  useTitle(downSince !== null, isPeople);
  return (
    <>
      <Top modules={modules} isPeople={isPeople} />
      {downSince !== null && <Unreachable since={downSince} hasData={wasLetIn} />}
      {access.kind === 'asking' && <TokenForm access={modules.access} why={access.why} />}
      {wasLetIn && (
        <main class={isBehind ? 'behind' : ''}>
          {isPeople ? (
            <People modules={modules} />
          ) : (
            <>
              <Numbers modules={modules} />
              <FindUser modules={modules} />
              <Explained modules={modules} />
              <div class="live">
                <Plots modules={modules} />
                <TailView modules={modules} />
              </div>
            </>
          )}
        </main>
      )}
    </>
  );
}

function Top({ modules, isPeople }: AppProps) {
  const state = useSignal(modules.socket.state);
  const hasToken = useSignal(modules.access.state).kind === 'let in' && modules.access.token !== undefined;
  return (
    <header>
      <h1>
        presence hub <span class="faint node">{state.kind === 'live' ? state.node : ''}</span>
      </h1>
      <nav aria-label="Parts of the page">
        {isPeople ? (
          <>
            <a href={location.pathname}>Dashboard</a>
            <a href="#history">History</a>
            <a href="#webhooks">Webhooks</a>
          </>
        ) : (
          <>
            <a href="#user">User</a>
            <a href="#plots">Plots</a>
            <a href="#tail">Changes</a>
            <a href="?page=online">Online</a>
          </>
        )}
        <a href={`${hubPrefix()}/docs`}>Docs</a>
      </nav>
      {hasToken && (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            modules.access.leave();
          }}
        >
          Sign out<span class="unseen"> and delete the token from this tab</span>
        </button>
      )}
    </header>
  );
}

function Unreachable({ since, hasData }: { readonly since: number; readonly hasData: boolean }) {
  const now = useNow(1000);
  return (
    <p class="unreachable" role="alert">
      <span>
        No answer since <b>{formatTime(since, now)}</b>
        {hasData ? '. Showing the last values; retrying…' : '; retrying…'}
      </span>{' '}
      <span aria-hidden="true">{formatDuration(now - since)}</span>
    </p>
  );
}

function useTitle(isDown: boolean, isPeople: boolean): void {
  useEffect(() => {
    document.title = `${isDown ? '✕ no answer · ' : ''}${isPeople ? 'Who is online' : 'Dashboard'} · presence hub`;
  }, [isDown, isPeople]);
}
