/** What a component watches: a cell, and the time. */
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import type { Signal } from '../signal.ts';

export function useCell<T>(cell: Signal<T>): T {
  const [value, setValue] = useState<T>(() => cell.get());
  useLayoutEffect(() => {
    const take = (): void => {
      setValue(() => cell.get());
    };
    // It may have changed between the first look and this watch.
    take();
    return cell.watch(take);
  }, [cell]);
  return value;
}

/** The time, looked at this often. */
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
