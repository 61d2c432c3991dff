/**
 * Hooks that the components share: the clock that updates ages, the picture of a visit, the request for a token, and
 * short messages.
 */
import { useEffect, useState } from 'preact/hooks';
import type { Picture, Visit } from '../visit.ts';
import { isTokenWanted, onToken } from '../token.ts';

const AGE_EVERY_MS = 10_000;
const TOAST_MS = 4_000;

/**
 * Returns the hub's time and renders again as it passes. This is the page's only timer, and it pauses while the page is
 * hidden.
 */
export function useNow(visit: Visit): number {
  const [, setRound] = useState(0);
  useEffect(() => {
    const look = (): void => {
      if (!document.hidden) setRound((round) => round + 1);
    };
    const timer = setInterval(look, AGE_EVERY_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  return visit.hubNow();
}

export function usePicture(visit: Visit): Picture {
  const [, setPicture] = useState(visit.picture);
  useEffect(() => {
    const look = (): void => setPicture(visit.picture);
    look();
    return visit.onPicture(look);
  }, [visit]);
  return visit.picture;
}

/** Returns whether a request waits for a token. */
export function useTokenWanted(): boolean {
  const [isWanted, setWanted] = useState(isTokenWanted);
  useEffect(() => onToken(() => setWanted(isTokenWanted())), []);
  return isWanted;
}

/** A short message on what was done, which disappears after a few seconds. */
export function useToast(): [string, (words: string) => void] {
  const [words, setWords] = useState('');
  useEffect(() => {
    if (words === '') return undefined;
    const timer = setTimeout(() => setWords(''), TOAST_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return [words, setWords];
}
