/**
 * The toolbar, which stays in sight while the list scrolls: how many friends are here, the connection, and the search.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Picture } from '../../visit.ts';

interface ToolbarProps {
  readonly title: string;
  readonly picture: Picture;
  /** The connection in words. */
  readonly words: string;
  readonly search: string;
  readonly onSearch: (search: string) => void;
  readonly isAdding: boolean;
  readonly onAdd: (isAdding: boolean) => void;
  /** Shown while the form to add a friend is open. */
  readonly children: ComponentChildren;
}

export function Toolbar({ title, picture, words, search, onSearch, isAdding, onAdd, children }: ToolbarProps) {
  const { connection, isSynced, here, total } = picture;
  const field = useRef<HTMLInputElement>(null);
  useSearchKey(field);
  return (
    <header class="toolbar">
      <div class="heading">
        <h1>{title}</h1>
        {isSynced && total > 0 && (
          <p class="count">
            {connection.kind === 'live' ? `${here} of ${total} online` : `${total} friend${total === 1 ? '' : 's'}`}
          </p>
        )}
        <p id="connection" data-state={connection.kind}>
          <span class="light" aria-hidden="true" />
          {words}
        </p>
      </div>
      {total > 0 && (
        <div class="tools">
          <div class="search">
            <svg viewBox="0 0 20 20" class="line-icon" aria-hidden="true" focusable="false">
              <circle cx="9" cy="9" r="5.5" />
              <path d="M13.2 13.2l4 4" />
            </svg>
            <input
              ref={field}
              type="search"
              value={search}
              aria-label="Search friends"
              aria-keyshortcuts="/"
              placeholder="Search friends"
              autocomplete="off"
              spellcheck={false}
              onInput={({ currentTarget }) => onSearch(currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Escape') onSearch('');
                if (event.key !== 'ArrowDown') return;
                event.preventDefault();
                document.querySelector<HTMLElement>('#friends [tabindex="0"]')?.focus();
              }}
            />
            <kbd aria-hidden="true">/</kbd>
          </div>
          <button type="button" class="add" aria-expanded={isAdding} onClick={() => onAdd(!isAdding)}>
            <svg viewBox="0 0 20 20" class="line-icon" aria-hidden="true" focusable="false">
              <path d="M10 4v12M4 10h12" />
            </svg>
            <span>Add friend</span>
          </button>
        </div>
      )}
      {total > 0 && isAdding && children}
    </header>
  );
}

/** The `/` key moves the focus to the search, unless it is typed into a field. */
function useSearchKey(field: { readonly current: HTMLInputElement | null }): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyped = event.target instanceof Element && event.target.matches('input, textarea, select, dialog *');
      if (event.key !== '/' || isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [field]);
}
