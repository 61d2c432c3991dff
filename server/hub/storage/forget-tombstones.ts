/** Deletes old tombstones of friend lists periodically, in small steps, so that other work runs between them. */
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { HubContext } from '../context.ts';
import type { Storage } from './open-storage.ts';

const EVERY_MS = 60_000;

/** @returns a function that stops it. */
export function startForgettingTombstones(
  { clock, log }: Pick<HubContext, 'clock' | 'log'>,
  { storedRoster, versions }: Pick<Storage, 'storedRoster' | 'versions'>,
): () => void {
  if (storedRoster === null) return () => undefined;
  let nextStep: NodeJS.Immediate | undefined;
  const forget = (): void => {
    nextStep = undefined;
    try {
      if (storedRoster.forgetTombstones(versions.now(clock.now().wallMs))) nextStep = setImmediate(forget);
    } catch (error) {
      // Locked or full storage must not end the hub. The next round tries again.
      if (!(error instanceof StorageUnavailable)) throw error;
      log.warn({ err: error }, 'old tombstones could not be deleted');
    }
  };
  const timer = setInterval(() => {
    if (nextStep === undefined) forget();
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    clearImmediate(nextStep);
  };
}
