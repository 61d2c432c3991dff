/** One friend in the list. Renders again only if what it shows has changed. */
import { Component } from 'preact';
import type { Entry } from '../../../sdk/index.ts';
import { isolable } from '../../../ui/bidi.ts';
import { Avatar } from '../avatar.tsx';
import { Devices } from '../isolated-text.tsx';
import { describeLastSeen, statusLabel } from '../../descriptions.ts';

interface FriendRowProps {
  readonly entry: Entry;
  /** Its index in the whole list, from 0, and the length of that list. */
  readonly index: number;
  readonly count: number;
  /** The distance from the top of the list. */
  readonly topPx: number;
  /** Animates a change of position, which would be too expensive for each row of a long list. */
  readonly isGliding: boolean;
  readonly isBehind: boolean;
  /** Whether this is the row that the Tab key reaches. */
  readonly isTabStop: boolean;
  readonly now: number;
  readonly onOpen: (user: string) => void;
}

export class FriendRow extends Component<FriendRowProps> {
  override shouldComponentUpdate(next: FriendRowProps): boolean {
    const keys = ['entry', 'index', 'count', 'topPx', 'isGliding', 'isBehind', 'isTabStop', 'onOpen'] as const;
    if (keys.some((key) => next[key] !== this.props[key])) return true;
    // Of the age, only a change of its words counts.
    return describeLastSeen(next.entry, next.now) !== describeLastSeen(this.props.entry, this.props.now);
  }

  override render({ entry, index, count, topPx, isGliding, isBehind, isTabStop, now, onOpen }: FriendRowProps) {
    const { user, status, text, devices } = entry;
    const about = describeLastSeen(entry, now) ?? text;
    return (
      <li
        class={`friend ${status}`}
        data-user={user}
        aria-posinset={index + 1}
        aria-setsize={count}
        style={isGliding ? { transform: `translateY(${topPx}px)` } : { top: `${topPx}px` }}
      >
        <button type="button" class="row" tabIndex={isTabStop ? 0 : -1} onClick={() => onOpen(user)}>
          <Avatar user={user} status={status} />
          <span class="who">
            <span class="name">{user}</span>
            {about !== undefined && about !== '' && (
              <span class="about" dir="auto">
                {isolable(about)}
              </span>
            )}
          </span>
          <span class="state">
            <span class="word">{statusLabel(status, isBehind)}</span>
            {devices.length > 0 && (
              <span class="devices">
                <Devices of={devices} />
              </span>
            )}
          </span>
        </button>
      </li>
    );
  }
}
