/**
 * What the page stores in this browser: the user's own status, so that a reload sends the same one and others see no
 * flicker. If the browser forbids storage, it lives as long as the page.
 */
import type { SessionStatus } from '../sdk/index.ts';
import { fitting } from './text-limit.ts';

const MINE = 'presence-hub mine ';
const statuses: readonly string[] = ['online', 'away', 'busy', 'invisible'] satisfies SessionStatus[];

export interface Mine {
  readonly status: SessionStatus;
  readonly text: string;
}

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

/** Notifies the listener when another tab has changed it. */
export function onMineChanged(user: string, listener: () => void): () => void {
  const onStorage = ({ key }: StorageEvent): void => {
    if (key === MINE + user) listener();
  };
  addEventListener('storage', onStorage);
  return () => removeEventListener('storage', onStorage);
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
