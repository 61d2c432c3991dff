/**
 * Updates users in memory from their records, and notifies listeners of each change: the way from the cluster back into
 * presence and fan-out. Applies blocks in the order that keeps them secret, as actions/block.ts does on a single hub.
 */
import type { Reports } from '../../fanout/reports.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { Frozen } from '../../presence/blocks.ts';
import type { Change, ChangeListener } from '../../presence/change.ts';
import { isVisible, sameFold, sameShown, shownOf } from '../../presence/fold.ts';
import type { Presence } from '../../presence/presence.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { UserRecord } from '../record/record.ts';
import { decodeOrigin } from './origins.ts';
import { foldOf } from './records.ts';

export interface AdoptionOptions {
  readonly presence: Presence;
  readonly users: Users;
  readonly reports: Reports;
  readonly clock: Clock;
  /** Receive every change of a held user. */
  readonly onChange: readonly ChangeListener[];
  /** Receive only changes that this node has written, so that of all nodes one notes each change. */
  readonly onOwnChange: readonly ChangeListener[];
  /** Whether this node has written the record. */
  readonly isOwn: (record: UserRecord) => boolean;
  /** No version below it may be shown, because it may stand for another entry. */
  readonly epochOf: (user: string) => number;
}

export class Adoption {
  readonly #options: AdoptionOptions;
  /** Blocks whose viewers are still to be notified. */
  readonly #notifying = new Set<Promise<void>>();

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** `v`: the version that others see. It is the user's own if they see no change. */
  adopt(id: string, record: UserRecord, v: number): void {
    const { users } = this.#options;
    const user = users.find(id);
    if (user === undefined) return;
    this.#hide(user, record);
    const revealed = [...(user.hiddenFrom?.keys() ?? [])].filter((viewer) => !record.hidden.has(viewer));
    // Pending changes are not for a blocked viewer, which gets the whole entry below.
    if (revealed.length > 0) this.#options.reports.flush();
    for (const viewer of revealed) users.unhide(user, viewer);
    const before = shownOf(user.fold, users.offline);
    const change = this.#change(user, record, v);
    const isForAll = revealed.length === 0 || !sameShown(before, shownOf(user.fold, users.offline));
    if (change !== undefined && isForAll) this.#notify(change, record);
    if (isVisible(user.fold)) for (const viewer of revealed) this.#note(this.#options.reports.changedFor(viewer, user));
  }

  /** Gives a user the last entry before it is one that was never seen. Notifies nobody. */
  erase(id: string, v: number): Change | undefined {
    const { users, presence, clock } = this.#options;
    const user = users.find(id);
    if (user === undefined) return undefined;
    users.unhideAll(user);
    return presence.adopt(user, { fold: users.offline, since: null, lastSeen: null, v }, decodeOrigin(''), clock.now());
  }

  /** What each viewer sees of a user who blocks it. */
  shownHidden(user: string, { hidden }: UserRecord): ReadonlyMap<string, Frozen> {
    const epoch = this.#options.epochOf(user);
    const shown = new Map<string, Frozen>();
    for (const [viewer, frozen] of hidden) {
      shown.set(viewer, { ...frozen, v: frozen.v === 0 ? 0 : Math.max(frozen.v, epoch) });
    }
    return shown;
  }

  /** Resolves when the viewers of all blocks until now are notified. */
  async whenNotified(): Promise<void> {
    await Promise.all(this.#notifying);
  }

  #hide(user: User, record: UserRecord): void {
    if (record.hidden.size === 0) return;
    const { users, reports } = this.#options;
    for (const [viewer, frozen] of this.shownHidden(user.id, record)) {
      const before = user.hiddenFrom?.get(viewer);
      if (before !== undefined) {
        // The block was lifted and set again while this node heard nothing, or an epoch began.
        if (frozen.v <= before.v) continue;
        users.hide(user.id, viewer, frozen);
        this.#note(reports.changedFor(viewer, user));
        continue;
      }
      // A user that is already shown offline left before the block, so that change is sent. Other pending changes are
      // dropped for the blocked viewer.
      const wasVisible = isVisible(user.fold);
      if (!wasVisible) this.#note(reports.settleFor(viewer, user));
      users.hide(user.id, viewer, frozen);
      if (wasVisible) this.#note(reports.changedFor(viewer, user));
    }
  }

  #change(user: User, record: UserRecord, v: number): Change | undefined {
    const { presence, users, clock } = this.#options;
    const fold = foldOf(user.id, record, users.offline);
    if (v === user.v && sameFold(user.fold, fold)) return undefined;
    const { since, lastSeen } = record.entry;
    return presence.adopt(user, { fold, since, lastSeen, v }, decodeOrigin(record.origin), clock.now());
  }

  #notify(change: Change, record: UserRecord): void {
    const { onChange, onOwnChange, isOwn } = this.#options;
    if (isOwn(record)) for (const listener of onOwnChange) listener(change);
    for (const listener of onChange) listener(change);
  }

  #note(notified: Promise<void> | undefined): void {
    if (notified === undefined) return;
    this.#notifying.add(notified);
    void notified.finally(() => this.#notifying.delete(notified));
  }
}
