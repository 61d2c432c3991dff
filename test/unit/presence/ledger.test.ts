/** The seam between the fold and who decides entries: a ledger may agree at once, later, or differently. */
import { expect, it } from 'vitest';
import type { Agreed, Ledger } from '../../../server/presence/entries.ts';
import { offlineFold, type Fold } from '../../../server/presence/fold.ts';
import { Journal } from '../../../server/presence/explain/journal.ts';
import { Presence } from '../../../server/presence/presence.ts';
import type { User } from '../../../server/presence/user.ts';
import { Users } from '../../../server/presence/users.ts';
import { noStalls } from '../../../server/lib/time/stall-clock.ts';
import { TestClock } from '../../support/clock.ts';

const clock = new TestClock();
const offline = offlineFold(-1);

/** Agrees on nothing by itself, and remembers what it was asked. */
class LaterLedger implements Ledger {
  readonly asked: { readonly user: User; readonly fold: Fold }[] = [];

  settle(user: User, fold: Fold): undefined {
    this.asked.push({ user, fold });
  }
}

it('a ledger that agrees later is asked after each transition, and shows nothing until its result is adopted', () => {
  const ledger = new LaterLedger();
  const nobody = (): undefined => undefined;
  const recallMany = (ids: readonly string[]): undefined[] => ids.map(nobody);
  const users = new Users({ offline, hidesLastSeen: false, recall: nobody, recallMany, storeFirsts: nobody });
  const massLapse = { sessions: 100, percent: 20, holdMs: 0, sourceOf: nobody };
  const journal = new Journal([1, 2], clock.wallMs);
  const rules = { graceMs: 0, stalls: noStalls, stallGraceMs: 0, massLapse, sessionIdOf: String, onSessions: nobody };
  const presence = new Presence({ users, ledger, journal, ...rules }, clock.now());
  const begun = { user: '42', device: 'web', adapter: 'ws-json', status: 'online', code: 1, text: undefined } as const;
  const owner = { lapsed: nobody };
  const { session, change } = presence.begin({ ...begun, leaseMs: 5000, address: '', owner }, clock.now());
  presence.update(session, { status: 'busy', code: 3 }, clock.now());
  presence.update(session, { status: 'online', code: 1 }, clock.now());
  expect(change).toBeUndefined();
  expect(ledger.asked.map(({ fold }) => fold.status)).toEqual(['online', 'busy', 'online']);
  expect(users.entryOf(session.user)).toMatchObject({ status: 'offline', v: 0 });

  const agreed: Agreed = { fold: ledger.asked[2]!.fold, since: 7, lastSeen: 8, v: 9 };
  const origin = { cause: 'came', source: { adapter: 'ws-json', session: 'hub-2.x' }, lapsedAt: null } as const;
  const adopted = presence.adopt(session.user, agreed, origin, clock.now());
  expect(adopted).toMatchObject({ isShown: true, from: 'offline', source: origin.source });
  expect(users.entryOf(session.user)).toMatchObject({ status: 'online', since: 7, lastSeen: 8, v: 9 });
  expect(presence.adopt(session.user, agreed, origin, clock.now())).toMatchObject({ isShown: false });
});
