/** The placeholders of the list: before the friends are known, if there are none, and if a search finds none. */
import type { ComponentChildren } from 'preact';
import { IsolatedText } from '../isolated-text.tsx';

export function Waiting() {
  return (
    <div class="waiting" aria-hidden="true">
      {[62, 48, 70, 40, 56].map((width) => (
        <div key={width} class="bone">
          <span class="disc" />
          <span class="line" style={{ width: `${width}%` }} />
        </div>
      ))}
    </div>
  );
}

export function NoFriends({ children }: { readonly children: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 96 64" aria-hidden="true" focusable="false">
        <circle cx="32" cy="32" r="17" class="face" />
        <circle cx="64" cy="32" r="17" class="face behind" />
        <circle cx="44" cy="45" r="6" class="dot" />
        <circle cx="76" cy="45" r="4.4" class="ring" />
      </svg>
      <h2>No friends yet</h2>
      <p class="quiet">Add one by user id, and see here when they come online.</p>
      {children}
    </div>
  );
}

interface NoneFoundProps {
  readonly search: string;
  readonly onClear: () => void;
}

export function NoneFound({ search, onClear }: NoneFoundProps) {
  return (
    <div class="empty">
      <h2>No friends found</h2>
      <p class="quiet">
        No friend’s user id or status text contains “<IsolatedText>{search.trim()}</IsolatedText>” in it.
      </p>
      <button type="button" onClick={onClear}>
        Show all
      </button>
    </div>
  );
}
