/** The button for light or dark. */
import { useState } from 'preact/hooks';
import { currentTheme, setTheme } from '../../ui/theme.ts';

export function ThemeButton() {
  const [theme, show] = useState(currentTheme);
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="icon"
      aria-label={`Switch to ${other}`}
      title={`Switch to ${other}`}
      onClick={() => {
        setTheme(other);
        show(other);
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
