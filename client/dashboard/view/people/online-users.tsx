/** The table of present users: by status and the beginning of the id, in pages. */
import { useState } from 'preact/hooks';
import { formatTime } from '../../../ui/ago.ts';
import { isolated } from '../../../ui/bidi.ts';
import type { Entry } from '../../../sdk/index.ts';
import { asCurl, hubPrefix, listRequest } from '../../hub/request-line.ts';
import type { Modules } from '../../modules.ts';
import { CallLine } from '../call-line.tsx';
import { IsolatedText } from '../isolated-text.tsx';
import { Status } from '../status-mark.tsx';
import { useAnswer } from './use-answer.ts';

const EVERY_MS = 5000;
const PAGE_SIZE = 25;

interface ListBody {
  readonly entries: readonly Entry[];
  readonly next: string | null;
}

interface OnlineUsersProps {
  readonly modules: Modules;
  readonly onUser: (user: string) => void;
}

export function OnlineUsers({ modules, onUser }: OnlineUsersProps) {
  const [status, setStatus] = useState('');
  const [prefix, setPrefix] = useState('');
  /** The `after` of this page and of those before it. */
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const request = listRequest(status, prefix, cursors.at(-1) ?? '', PAGE_SIZE);
  const asked = useAnswer<ListBody>(modules, request, EVERY_MS);
  const next = asked.kind === 'answered' ? asked.body.next : null;
  return (
    <section class="present card" aria-labelledby="online-title">
      <div class="heading">
        <h2 id="online-title">Who is online</h2>
        <CallLine
          text={asCurl(request, location.origin + hubPrefix(), modules.access.token !== undefined)}
          of="list the present users"
        />
      </div>
      <div class="row" role="group" aria-label="Filter">
        <input
          type="search"
          aria-label="Beginning of a user id"
          placeholder="beginning of a user id"
          maxLength={128}
          spellcheck={false}
          value={prefix}
          onInput={({ currentTarget }) => {
            setPrefix(currentTarget.value.trim());
            setCursors([]);
          }}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={({ currentTarget }) => {
            setStatus(currentTarget.value);
            setCursors([]);
          }}
        >
          <option value="">any status</option>
          {['online', 'away', 'busy'].map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      {asked.kind === 'answered' && asked.body.entries.length > 0 ? (
        <Table entries={asked.body.entries} onUser={onUser} />
      ) : (
        <p role="status">
          {asked.kind === 'asking' ? 'Asking the hub…' : asked.kind === 'refused' ? asked.why : 'No user matches.'}
        </p>
      )}
      <Pages cursors={cursors} next={next} onCursors={setCursors} />
    </section>
  );
}

interface PagesProps {
  readonly cursors: readonly string[];
  readonly next: string | null;
  readonly onCursors: (cursors: readonly string[]) => void;
}

function Pages({ cursors, next, onCursors }: PagesProps) {
  return (
    <div class="row" role="group" aria-label="Pages">
      <button
        type="button"
        disabled={cursors.length === 0}
        onClick={() => {
          onCursors(cursors.slice(0, -1));
        }}
      >
        Previous
      </button>
      <span role="status">Page {cursors.length + 1}</span>
      <button
        type="button"
        disabled={next === null}
        onClick={() => {
          if (next !== null) onCursors([...cursors, next]);
        }}
      >
        Next
      </button>
    </div>
  );
}

function Table({ entries, onUser }: { readonly entries: readonly Entry[]; readonly onUser: (user: string) => void }) {
  const now = Date.now();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">User</th>
          <th scope="col">Status</th>
          <th scope="col">Since</th>
          <th scope="col">Text</th>
        </tr>
      </thead>
      <tbody>
        {entries.map(({ user, status, since, text }) => (
          <tr key={user} data-user={user}>
            <td>
              <button
                type="button"
                class="quiet id"
                aria-label={`History of ${isolated(user)}`}
                onClick={() => {
                  onUser(user);
                }}
              >
                <IsolatedText>{user}</IsolatedText>
              </button>
            </td>
            <td>
              <Status status={status} />
            </td>
            <td>{since === null ? '–' : formatTime(since, now)}</td>
            <td>{text !== undefined && <IsolatedText>{text}</IsolatedText>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
