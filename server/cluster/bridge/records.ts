/** Reads records in the terms of presence. Pure. */
import { foldSessions, isVisible, type Fold, type Shown } from '../../presence/fold.ts';
import type { Remembered } from '../../presence/user.ts';
import { linked } from '../record/next-record.ts';
import type { UserRecord } from '../record/record.ts';

/** The true fold, as far as the record tells: messages about users without a session here leave sessions out. */
export function foldOf(user: string, { entry, parts }: UserRecord, offline: Shown): Fold {
  const { status, code, devices, text } = entry;
  if (parts !== null) {
    const fold = foldSessions({ id: user, firstSession: linked(parts) }, offline);
    // A record that was written by hand may say one thing and hold another.
    if (isVisible(fold) === (status !== 'offline')) return fold;
  }
  if (status === 'offline') return offline;
  return { status, code, devices, shownDevices: devices, text };
}

export function rememberedOf(user: string, record: UserRecord, v: number, offline: Shown): Remembered {
  const { since, lastSeen } = record.entry;
  return { since: since ?? 0, lastSeen, v, fold: foldOf(user, record, offline) };
}
