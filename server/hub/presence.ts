/** Builds the core with the rules that the settings state. */
import { randomBytes } from 'node:crypto';
import { neighbourhoodOf } from '../auth/cidrs.ts';
import type { Clock } from '../lib/time/clock.ts';
import { Journal } from '../presence/explain/journal.ts';
import type { PresenceOptions } from '../presence/presence-options.ts';
import { Presence } from '../presence/presence.ts';
import type { Session } from '../presence/sessions/session.ts';
import type { HubContext } from './context.ts';

export function buildPresence(
  { config, clock, stalls, sessionIds }: HubContext,
  inner: Pick<PresenceOptions, 'users' | 'ledger' | 'journal' | 'onSessions'>,
): Presence {
  const { graceMs, timeoutMs, doubtSessions, doubtPercent, doubtMs } = config;
  return new Presence(
    {
      ...inner,
      graceMs,
      stalls,
      stallGraceMs: timeoutMs,
      massLapse: { sessions: doubtSessions, percent: doubtPercent, holdMs: doubtMs, sourceOf },
      sessionIdOf: (no) => sessionIds.of(no),
    },
    clock.now(),
  );
}

/** Creates a journal whose hashes nobody can predict. */
export function createJournal(clock: Clock): Journal {
  const key = randomBytes(8);
  return new Journal([key.readUInt32LE(0), key.readUInt32LE(4)], clock.now().wallMs);
}

/**
 * The source of a session, for mass lapses. A WebSocket needs none, because it can be pinged. One address may be the
 * gateway of many users.
 */
function sourceOf({ adapter, owner, address }: Session): unknown {
  if (adapter === 'ws-json') return undefined;
  return adapter === 'tcp-xml' ? owner : neighbourhoodOf(address);
}
