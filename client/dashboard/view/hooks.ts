/** Hooks for what a component watches: a signal, and the time. */
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import type { Signal } from '../signal.ts';

export function useSignal<T>(cell: Signal<T>): T {
  const [value, setValue] = useState<T>(() => cell.get());
  useLayoutEffect(() => {
    const take = (): void => {
      setValue(() => cell.get());
    };
    // The value may have changed between the first render and this watch.
    take();
    return cell.watch(take);
  }, [cell]);
  return value;
}

/** Returns the time, updated at this interval. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, everyMs);
    return () => {
      clearInterval(timer);
    };
  }, [everyMs]);
  return now;
}
