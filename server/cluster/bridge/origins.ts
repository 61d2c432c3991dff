/** What happened to which session, as text in a record. Pure. A foreign writer may have written it. */
import { z } from 'zod';
import { adapterName, transitionCause, type TransitionCause } from '../../../shared/messages/explain.ts';
import type { ChangeSource, Origin } from '../../presence/change.ts';

const form = z.tuple([transitionCause, adapterName, z.string().regex(/^[\w.-]{1,100}$/)]);

export function encodeOrigin(cause: TransitionCause, { adapter, session }: ChangeSource): string {
  return `${cause} ${adapter} ${session}`;
}

/** An origin that is not known is shown as a change that no session in particular made. */
const UNKNOWN: Origin = { cause: 'set', source: { adapter: 'ws-json', session: '-' }, lapsedAt: null };

export function decodeOrigin(text: string): Origin {
  const read = form.safeParse(text.split(' '));
  if (!read.success) return UNKNOWN;
  const [cause, adapter, session] = read.data;
  return { cause, source: { adapter, session }, lapsedAt: null };
}
