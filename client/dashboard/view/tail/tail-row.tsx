/** One change of the tail. A change is immutable; only its position changes. */
import { Component } from 'preact';
import { isolated } from '../../../ui/bidi.ts';
import { formatTime } from '../../../ui/ago.ts';
import { asWords } from '../../explain/explain-view.ts';
import type { TailRow } from '../../tail/tail-rows.ts';
import { StatusMark } from '../status-mark.tsx';
import { IsolatedText } from '../isolated-text.tsx';

interface TailRowProps {
  readonly row: TailRow;
  /** The index in the whole table. The header row is the first. */
  readonly index: number;
  readonly onExplain: (user: string) => void;
}

export class TailRowView extends Component<TailRowProps> {
  override shouldComponentUpdate({ index }: TailRowProps): boolean {
    return index !== this.props.index;
  }

  override render() {
    const { row, index, onExplain } = this.props;
    const { at, from, cause, adapter, session, entry } = row;
    const { user, status, text } = entry;
    const [time, ms] = cut(formatTime(at, Date.now(), true));
    const address = `?user=${encodeURIComponent(user)}`;
    return (
      <tr aria-rowindex={index} data-user={user} data-cause={cause}>
        <td class="time">
          {time}
          <span class="ms">{ms}</span>
        </td>
        <td class="id">
          <a
            href={address}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              onExplain(user);
            }}
          >
            {user}
          </a>
        </td>
        <td class="change" title={text === undefined ? status : `${status}, ${isolated(text)}`}>
          {from !== status && (
            <>
              <StatusMark status={from} />
              <span class="unseen">{from} to </span>
              <span class="arrow" aria-hidden="true">
                →
              </span>
            </>
          )}
          <StatusMark status={status} />
          {status}{' '}
          {text !== undefined && (
            <q class="faint">
              <IsolatedText>{text}</IsolatedText>
            </q>
          )}
        </td>
        <td>{asWords(cause)}</td>
        <td class="faint" title={session}>
          {adapter}
        </td>
      </tr>
    );
  }
}

/** Splits a time before the decimal point, because the milliseconds are hidden on narrow screens. */
function cut(time: string): readonly [string, string] {
  const point = time.indexOf('.');
  return [time.slice(0, point), time.slice(point)];
}
