/**
 * What the page remembers in this browser: what I said of myself, so that a reload says the same and nobody sees me flicker,
 * and whether it is light or dark. A browser may forbid storage: then it lives as long as the page.
 */
import type { SessionStatus } from '../sdk/index.ts';
import { fitting } from './text-limit.ts';

const MINE = 'presence-hub mine ';
const THEME = 'presence-hub theme';
const statuses: readonly string[] = ['online', 'away', 'busy', 'invisible'] satisfies SessionStatus[];

export interface Mine {
  readonly status: SessionStatus;
  readonly text: string;
}
export type Theme = 'light' | 'dark';

export function keptMine(user: string): Mine {
  try {
    const kept = JSON.parse(read(MINE + user) ?? '{}') as Partial<Record<keyof Mine, unknown>>;
    return {
      status: statuses.includes(String(kept.status)) ? (kept.status as SessionStatus) : 'online',
      text: typeof kept.text === 'string' ? fitting(kept.text) : '',
    };
  } catch {
    return { status: 'online', text: '' };
  }
}

export function keepMine(user: string, mine: Mine): void {
  write(MINE + user, JSON.stringify(mine));
}

/** Told when another tab has changed it. */
export function onMineChanged(user: string, listener: () => void): () => void {
  const hear = ({ key }: StorageEvent): void => {
    if (key === MINE + user) listener();
  };
  addEventListener('storage', hear);
  return () => removeEventListener('storage', hear);
}

/** Undefined: as the system has it. */
export function keptTheme(): Theme | undefined {
  const kept = read(THEME);
  return kept === 'light' || kept === 'dark' ? kept : undefined;
}

export function keepTheme(theme: Theme): void {
  write(THEME, theme);
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing to do: the page has it in memory.
  }
}
