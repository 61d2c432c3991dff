/** Light or dark: the system decides until the user chooses, and this browser keeps the choice for every page of the hub. */
const KEY = 'presence-hub theme';
export type Theme = 'light' | 'dark';

/** Call it before the first paint, so that the page does not flash. */
export function applyKeptTheme(): void {
  const theme = keptTheme();
  if (theme !== undefined) document.documentElement.dataset['theme'] = theme;
}

export function currentTheme(): Theme {
  return keptTheme() ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
}

export function setTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The browser forbids storage: the choice lives as long as the page.
  }
}

function keptTheme(): Theme | undefined {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === 'light' || kept === 'dark' ? kept : undefined;
  } catch {
    return undefined;
  }
}
