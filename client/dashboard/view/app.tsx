/** The whole page: the token form, errors, the numbers, the explained user, the plots and the tail. */
import { useEffect } from 'preact/hooks';
import { formatDuration, formatTime } from '../../ui/ago.ts';
import type { Modules } from '../modules.ts';
import { Explained } from './explain/explained.tsx';
import { FindUser } from './explain/find-user.tsx';
import { useSignal, useNow } from './hooks.ts';
import { Numbers } from './numbers/numbers.tsx';
import { Plots } from './numbers/plots.tsx';
import { TailView } from './tail/tail.tsx';
import { TokenForm } from './token-form.tsx';

export function App({ modules }: { readonly modules: Modules }) {
  const access = useSignal(modules.access.state);
  const downSince = useSignal(modules.calls.unreachableSince);
  const wasLetIn = useSignal(modules.scraper.turns) > 0 && modules.history.isBegun;
  const isBehind = downSince !== null || access.kind === 'asking';
  useTitle(downSince !== null);
  return (
    <>
      <Top modules={modules} />
      {downSince !== null && <Unreachable since={downSince} hasData={wasLetIn} />}
      {access.kind === 'asking' && <TokenForm access={modules.access} why={access.why} />}
      {wasLetIn && (
        <main class={isBehind ? 'behind' : ''}>
          <Numbers modules={modules} />
          <FindUser modules={modules} />
          <Explained modules={modules} />
          <div class="live">
            <Plots modules={modules} />
            <TailView modules={modules} />
          </div>
        </main>
      )}
    </>
  );
}

function Top({ modules }: { readonly modules: Modules }) {
  const state = useSignal(modules.socket.state);
  const hasToken = useSignal(modules.access.state).kind === 'let in' && modules.access.token !== undefined;
  return (
    <header>
      <h1>
        presence hub <span class="faint node">{state.kind === 'live' ? state.node : ''}</span>
      </h1>
      <nav aria-label="Parts of the page">
        <a href="#user">User</a>
        <a href="#plots">Plots</a>
        <a href="#tail">Changes</a>
        <a href="/docs">Docs</a>
      </nav>
      {hasToken && (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            modules.access.leave();
          }}
        >
          Sign out<span class="unseen"> and forget the token</span>
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

function useTitle(isDown: boolean): void {
  useEffect(() => {
    document.title = `${isDown ? '✕ no answer · ' : ''}Dashboard · presence hub`;
  }, [isDown]);
}
