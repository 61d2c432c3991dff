/** The sessions of one user with the legacy server's five fields, their leases, and a button to end each. */
import { useState } from 'preact/hooks';
import type { SessionRow } from '../../explain/explain-view.ts';
import type { ExplainedSession } from '../../hub/wire.ts';
import type { Modules } from '../../modules.ts';
import { EndDialog } from './end-dialog.tsx';
import { Status } from '../status-mark.tsx';
import { IsolatedText } from '../isolated-text.tsx';

interface SessionsProps {
  readonly user: string;
  readonly rows: readonly SessionRow[];
  readonly modules: Modules;
}

export function Sessions({ user, rows, modules }: SessionsProps) {
  const [ending, setEnding] = useState<ExplainedSession | null>(null);
  const [said, setSaid] = useState('');
  return (
    <div class="sessions">
      <h3>
        Sessions <span class="faint">{rows.length}</span>
      </h3>
      {rows.length === 0 && <p class="faint">No session: {user} is offline.</p>}
      <ul>
        {rows.map((row) => (
          <Session key={row.session.id} row={row} onEnd={setEnding} />
        ))}
      </ul>
      <p role="status" class="said">
        {said}
      </p>
      {ending !== null && (
        <EndDialog
          user={user}
          session={ending}
          modules={modules}
          onDone={(sentence) => {
            setEnding(null);
            setSaid(sentence);
          }}
        />
      )}
    </div>
  );
}

function Session({ row, onEnd }: { readonly row: SessionRow; readonly onEnd: (session: ExplainedSession) => void }) {
  const { session, record, leaseLeft, leasePart } = row;
  const { id, adapter, device, state, status, text, decides } = session;
  return (
    <li class={decides ? 'session decides' : 'session'} data-session={id}>
      <div class="heading">
        <b>
          <IsolatedText>{device}</IsolatedText>
        </b>
        <span class="faint">
          {adapter} <span class="id">{id}</span>
        </span>
        <Status status={status} />
        {state !== 'live' && <span class="chip warn">{state}</span>}
        {decides && <span class="chip good">decides</span>}
        {text !== undefined && (
          <q>
            <IsolatedText>{text}</IsolatedText>
          </q>
        )}
        <span class="left">
          <span class="faint">lease</span> {leaseLeft}
          <span class="lease" aria-hidden="true">
            <span style={{ width: `${leasePart * 100}%` }} />
          </span>
          <button
            type="button"
            class="danger"
            aria-label={`End session ${id}`}
            onClick={() => {
              onEnd(session);
            }}
          >
            End…
          </button>
        </span>
      </div>
      <dl>
        {record.map(({ name, value, note }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value} {note !== undefined && <span class="faint">{note}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
