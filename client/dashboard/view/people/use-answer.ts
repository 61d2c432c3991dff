/** A hook that asks the hub for something repeatedly, and keeps the last answer while the hub is unreachable. */
import { useEffect, useState } from 'preact/hooks';
import { detailOf } from '../../hub/calls.ts';
import type { HubRequest } from '../../hub/request-line.ts';
import type { Modules } from '../../modules.ts';

export type Asked<T> =
  | { readonly kind: 'asking' }
  | { readonly kind: 'answered'; readonly body: T }
  | { readonly kind: 'refused'; readonly why: string };

/** @param turn asks at once if it changes. */
export function useAnswer<T>({ calls, access }: Modules, { path }: HubRequest, everyMs: number, turn = 0): Asked<T> {
  const [asked, setAsked] = useState<{ readonly path: string; readonly answer: Asked<T> }>();
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const answer = access.mayAsk ? await calls.send({ method: 'GET', path }) : undefined;
      if (isOver) return;
      if (answer?.kind === 'answered') setAsked({ path, answer: readAnswer<T>(answer.status, answer.text) });
      timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [path, everyMs, turn]);
  return asked?.path === path ? asked.answer : { kind: 'asking' };
}

/** The hub is trusted to follow its contract. */
export function readAnswer<T>(status: number, text: string): Asked<T> {
  if (status !== 200) return { kind: 'refused', why: `${status}: ${detailOf(text)}` };
  try {
    return { kind: 'answered', body: JSON.parse(text) as T };
  } catch {
    return { kind: 'refused', why: 'The hub’s answer can’t be read.' };
  }
}
