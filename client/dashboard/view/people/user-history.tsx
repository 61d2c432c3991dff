/** One user's uptime as a timeline, with the time that is unknown, and the transitions in that span. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatTime } from '../../../ui/ago.ts';
import { historyRequest, uptimeRequest } from '../../hub/request-line.ts';
import type { Modules } from '../../modules.ts';
import {
  describeUptime,
  partsOf,
  SPANS,
  sumOf,
  TIMED,
  type Part,
  type Span,
  type Uptime,
} from '../../people/timeline.ts';
import { IsolatedText } from '../isolated-text.tsx';
import { readAnswer, type Asked } from './use-answer.ts';

interface HistoryBody {
  readonly transitions: readonly {
    readonly at: number;
    readonly from: string;
    readonly to: string;
    readonly cause: string;
  }[];
  /** The `from` of the next page; null after the last one. */
  readonly next: number | null;
}

interface Shown extends HistoryBody {
  readonly parts: readonly Part[];
}

interface UserHistoryProps {
  readonly modules: Modules;
  readonly user: string;
  readonly onUser: (user: string) => void;
}

export function UserHistory({ modules, user, onUser }: UserHistoryProps) {
  const [typed, setTyped] = useState(user);
  const [span, setSpan] = useState<Span>(SPANS[0]);
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    setTyped(user);
    // On a phone it is below the table in which the user was chosen.
    if (user !== '') section.current?.scrollIntoView({ block: 'nearest' });
  }, [user]);
  return (
    <section class="history card" aria-labelledby="history-title" id="history" ref={section}>
      <h2 id="history-title">History and uptime</h2>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          onUser(typed.trim());
        }}
      >
        <input
          type="search"
          aria-label="User id"
          placeholder="user id, e.g. 42"
          required
          maxLength={128}
          spellcheck={false}
          value={typed}
          onInput={({ currentTarget }) => {
            setTyped(currentTarget.value);
          }}
        />
        <select
          aria-label="Span"
          value={span.name}
          onChange={({ currentTarget }) => {
            setSpan(SPANS.find(({ name }) => name === currentTarget.value) ?? SPANS[0]);
          }}
        >
          {SPANS.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button class="main">Show</button>
      </form>
      {user !== '' && <Timeline key={`${user} ${span.name}`} modules={modules} user={user} span={span} />}
    </section>
  );
}

function Timeline({ modules, user, span }: { readonly modules: Modules; readonly user: string; readonly span: Span }) {
  const [asked, setAsked] = useState<Asked<Shown>>({ kind: 'asking' });
  useEffect(() => {
    let isOver = false;
    void askFor(modules, user, span).then((answer) => {
      if (!isOver) setAsked(answer);
    });
    return () => {
      isOver = true;
    };
  }, []);
  if (asked.kind !== 'answered') return <p role="status">{asked.kind === 'asking' ? 'Asking the hub…' : asked.why}</p>;
  const { parts, transitions, next } = asked.body;
  const now = Date.now();
  const sums = describeUptime(sumOf(parts));
  return (
    <>
      <h3>
        <IsolatedText class="id">{user}</IsolatedText>, {span.name}
      </h3>
      <div class="timeline" role="img" aria-label={`Timeline: ${sums}`}>
        {parts.map((part) => (
          <div
            key={part.from}
            title={`${formatTime(part.from, now)} to ${formatTime(part.to, now)}: ${describeUptime(part)}`}
          >
            {TIMED.map((status) => (
              <span key={status} class={status} style={{ flexGrow: part[`${status}Ms`] }} />
            ))}
          </div>
        ))}
      </div>
      <p class="ends faint">
        <span>{formatTime(parts[0]?.from ?? now, now)}</span> <span>now</span>
      </p>
      <ul class="legend" aria-hidden="true">
        {TIMED.map((status) => (
          <li key={status}>
            <span class={`block ${status}`} /> {status}
          </li>
        ))}
      </ul>
      <p class="sums">{sums}</p>
      {transitions.length === 0 ? (
        <p class="faint">No changes in this period.</p>
      ) : (
        <ol class="passed" aria-label="Changes" tabIndex={0}>
          {transitions.map(({ at, from, to, cause }, index) => (
            <li key={index}>
              <span class="faint">{formatTime(at, now)}</span> {from} → {to} <span class="faint">{cause}</span>
            </li>
          ))}
        </ol>
      )}
      {next !== null && <p class="faint">Later changes are not listed: choose a shorter period.</p>}
    </>
  );
}

async function askFor({ calls }: Modules, user: string, span: Span): Promise<Asked<Shown>> {
  const now = Date.now();
  const history = await calls.send(historyRequest(user, now - span.ms));
  if (history.kind !== 'answered') return { kind: 'refused', why: 'The hub did not answer.' };
  const listed = readAnswer<HistoryBody>(history.status, history.text);
  if (listed.kind !== 'answered') {
    if (history.status !== 404) return listed;
    return { kind: 'refused', why: 'History is off: set HUB_HISTORY_DAYS above 0 to turn it on.' };
  }
  const parts: Part[] = [];
  for (const { from, to } of partsOf(span, now)) {
    const answer = await calls.send(uptimeRequest(user, from, to));
    if (answer.kind !== 'answered') return { kind: 'refused', why: 'The hub did not answer.' };
    const uptime = readAnswer<Uptime>(answer.status, answer.text);
    if (uptime.kind !== 'answered') return uptime;
    parts.push({ ...uptime.body, from, to });
  }
  return { kind: 'answered', body: { ...listed.body, parts } };
}
