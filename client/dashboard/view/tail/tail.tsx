/** The live tail of changes: its filter, its pause, and the rows. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { statusOrder } from '../../../ui/order.ts';
import { asTailMessages, hubPrefix } from '../../hub/request-line.ts';
import type { TailState } from '../../hub/tail-socket.ts';
import { asWords } from '../../explain/explain-view.ts';
import type { Modules } from '../../modules.ts';
import type { TailFilter } from '../../tail/tail-rows.ts';
import type { TailShown } from '../../tail/tail.ts';
import { CallLine } from '../call-line.tsx';
import { useSignal } from '../hooks.ts';
import { TailTable } from './tail-table.tsx';

/** If the rows are scrolled down further than this, the operator is reading, so the rows must not move. */
const READS_BELOW_PX = 8;

export function TailView({ modules }: { readonly modules: Modules }) {
  const { tail, socket, access, explain } = modules;
  const shown = useSignal(tail.shown);
  const state = useSignal(socket.state);
  const rows = useRef<HTMLDivElement>(null);
  const [isPaused, setPaused] = useState(false);
  const [isScrolled, setScrolled] = useState(false);
  useEffect(() => {
    tail.hold(isPaused || isScrolled);
  }, [tail, isPaused, isScrolled]);
  const explainUser = (user: string): void => {
    explain.show(user);
    document.getElementById('user')?.scrollIntoView({ block: 'start' });
  };
  return (
    <section class="tail card" aria-labelledby="tail-title" id="tail">
      <div class="heading">
        <h2 id="tail-title">Changes</h2>
        <span class="faint" role="status">
          {describe(state, shown)}
        </span>
        <button
          type="button"
          aria-pressed={shown.isHeld}
          onClick={() => {
            setPaused(!shown.isHeld);
            if (shown.isHeld) rows.current?.scrollTo({ top: 0 });
          }}
        >
          {shown.isHeld ? 'Resume' : 'Pause'}
        </button>
      </div>
      <Filter shown={shown} onFilter={tail.setFilter} />
      <CallLine
        text={asTailMessages(shown.filter.user, location.origin + hubPrefix(), access.token !== undefined)}
        of="the messages of the tail"
      />
      <TailTable
        rows={shown.rows}
        box={rows}
        onScrolled={(scrollTop) => {
          setScrolled(scrollTop > READS_BELOW_PX);
        }}
        onExplain={explainUser}
      />
    </section>
  );
}

function describe(state: TailState, { isHeld, newer, skipped }: TailShown): string {
  const notShown = skipped === 0 ? '' : `, ${skipped.toLocaleString('en-US')} skipped by the hub`;
  if (state.kind === 'refused') return state.why;
  if (state.kind !== 'live') return state.kind === 'lost' ? 'not connected; retrying…' : 'connecting…';
  return isHeld ? `paused, ${newer.toLocaleString('en-US')} newer${notShown}` : `live${notShown}`;
}

interface FilterProps {
  readonly shown: TailShown;
  readonly onFilter: (filter: TailFilter) => void;
}

function Filter({ shown: { filter, causes, adapters }, onFilter }: FilterProps) {
  const choices = [
    { field: 'status', any: 'to any status', of: statusOrder },
    { field: 'cause', any: 'any cause', of: causes },
    { field: 'adapter', any: 'any adapter', of: adapters },
  ] as const;
  return (
    <div class="filter" role="group" aria-label="Filter">
      <input
        type="search"
        aria-label="Part of a user id"
        placeholder="part of a user id"
        maxLength={128}
        spellcheck={false}
        value={filter.user}
        onInput={({ currentTarget }) => {
          onFilter({ ...filter, user: currentTarget.value.trim() });
        }}
      />
      {choices.map(({ field, any, of }) => (
        <select
          key={field}
          aria-label={field}
          value={filter[field]}
          onChange={({ currentTarget }) => {
            onFilter({ ...filter, [field]: currentTarget.value });
          }}
        >
          <option value="">{any}</option>
          {withChosen(of, filter[field]).map((word) => (
            <option key={word} value={word}>
              {asWords(word)}
            </option>
          ))}
        </select>
      ))}
    </div>
  );
}

function withChosen(words: readonly string[], chosen: string): readonly string[] {
  return chosen === '' || words.includes(chosen) ? words : [...words, chosen];
}
