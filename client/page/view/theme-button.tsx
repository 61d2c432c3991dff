/** The button for light or dark. The system decides until the user chooses. */
import { useState } from 'preact/hooks';
import { keepTheme, keptTheme, type Theme } from '../local-storage.ts';

/** Runs before the first paint, so that the page does not flash. */
export function applyKeptTheme(): void {
  const theme = keptTheme();
  if (theme !== undefined) document.documentElement.dataset['theme'] = theme;
}

export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(() => keptTheme() ?? systemTheme());
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="icon"
      aria-label={`Switch to ${other}`}
      title={`Switch to ${other}`}
      onClick={() => {
        document.documentElement.dataset['theme'] = other;
        keepTheme(other);
        setTheme(other);
      }}
    >
      <svg viewBox="0 0 20 20" class="line-icon" aria-hidden="true" focusable="false">
        {other === 'light' ? (
          <>
            <circle cx="10" cy="10" r="3.6" />
            <path d="M10 1.8v2M10 16.2v2M1.8 10h2M16.2 10h2M4.2 4.2l1.4 1.4M14.4 14.4l1.4 1.4M4.2 15.8l1.4-1.4M14.4 5.6l1.4-1.4" />
          </>
        ) : (
          <path d="M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7Z" />
        )}
      </svg>
    </button>
  );
}

function systemTheme(): Theme {
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}
