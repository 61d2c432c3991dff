/** The recent transitions of a user, with their causes. */
import type { TransitionRow } from '../../explain/explain-view.ts';
import { Status } from '../status-mark.tsx';

export function Transitions({ rows, note }: { readonly rows: readonly TransitionRow[]; readonly note: string }) {
  return (
    <div class="transitions">
      <h3>Transitions</h3>
      <ol>
        {rows.map(({ key, transition: { from, to, adapter, session }, time, age, cause }) => (
          <li key={key} data-cause={cause}>
            <span class="when">
              <time>{time}</time> <span class="faint">{age}</span>
            </span>
            <span class="what">
              {from === to ? (
                <>
                  <Status status={to} /> <span class="faint">stays</span>
                </>
              ) : (
                <>
                  <Status status={from} /> <span aria-label="to">→</span> <Status status={to} />
                </>
              )}
            </span>
            <b>{cause}</b>
            <span class="faint source" title={session}>
              {adapter} <span class="id">{session}</span>
            </span>
          </li>
        ))}
      </ol>
      <p class="faint">{note}</p>
    </div>
  );
}
