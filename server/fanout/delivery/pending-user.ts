/**
 * The pending changes of one user, and which connections have been sent them. Must not know when the user is due, or
 * which connections watch it.
 */
import type { User } from '../../presence/user.ts';
import type { AudienceWalk } from '../lists/audience-walk.ts';
import type { Outbox } from './outbox.ts';

/** Events of the user are numbered. */
export class PendingUser {
  readonly user: User;
  isLarge: boolean;
  /** The walk that sends the state in several turns; null if none is in progress. */
  walk: AudienceWalk | null = null;
  #walkNo = 0;
  #eventNo = 0;
  /** The last change for all watchers; 0 for none. */
  #changeNo = 0;
  /** The last block that was set or lifted, by viewer. */
  #blockNos: Map<string, number> | null = null;
  /** The last event that each connection was shown: since the last walk began, and before. */
  #shownNos = new Map<Outbox, number>();
  #shownBefore = new Map<Outbox, number>();
  #waiting: { readonly eventNo: number; readonly resolve: () => void }[] = [];

  constructor(user: User, isLarge: boolean) {
    this.user = user;
    this.isLarge = isLarge;
  }

  changed(): void {
    this.#changeNo = ++this.#eventNo;
  }

  /** Notes a block that was set or lifted, which changes what the viewer sees. */
  changedFor(viewer: string): void {
    (this.#blockNos ??= new Map()).set(viewer, ++this.#eventNo);
  }

  /** Keeps pending changes for a viewer that is about to be blocked. */
  keepFor(viewer: string): void {
    const newsNo = Math.max(this.#changeNo, this.#blockNos?.get(viewer) ?? 0);
    if (newsNo > 0) (this.#blockNos ??= new Map()).set(viewer, newsNo);
  }

  /** Notes that the connection was sent the latest state. */
  shown(outbox: Outbox): void {
    this.#shownNos.set(outbox, this.#eventNo);
  }

  /** Whether a connection that watches the user has something pending. */
  isPendingFor(outbox: Outbox): boolean {
    const viewer = outbox.viewer.user;
    let newsNo = this.#changeNo;
    if (viewer !== null) {
      const blockNo = this.#blockNos?.get(viewer) ?? 0;
      newsNo = this.user.hiddenFrom?.has(viewer) === true ? blockNo : Math.max(newsNo, blockNo);
    }
    return newsNo > (this.#shownNos.get(outbox) ?? this.#shownBefore.get(outbox) ?? 0);
  }

  /**
   * Number of remembered connections. It must stay bounded even if connections come and go while the user keeps
   * changing.
   */
  get rememberedCount(): number {
    return this.#shownNos.size + this.#shownBefore.size;
  }

  /** Starts a walk through all watchers. Each is then `shown` the latest state, even if it has it already. */
  beginWalk(walk: AudienceWalk): AudienceWalk {
    this.walk = walk;
    this.#walkNo = this.#eventNo;
    this.#shownBefore = this.#shownNos;
    this.#shownNos = new Map();
    return walk;
  }

  /** @returns whether nothing has happened since the walk began, so that all watchers are up to date. */
  endWalk(): boolean {
    this.walk = null;
    for (const [viewer, blockNo] of this.#blockNos ?? []) if (blockNo <= this.#walkNo) this.#blockNos?.delete(viewer);
    return this.#walkNo === this.#eventNo;
  }

  /** Resolves when all events until now have been sent. */
  whenSent(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ eventNo: this.#eventNo, resolve }));
  }

  /**
   * Removes and returns the callbacks of events that the last walk has sent. For a user without a walk, all of them.
   */
  takeSent(): (() => void)[] {
    const isSent = ({ eventNo }: { readonly eventNo: number }): boolean => !this.isLarge || eventNo <= this.#walkNo;
    const sent = this.#waiting.filter(isSent);
    this.#waiting = this.#waiting.filter((one) => !isSent(one));
    return sent.map(({ resolve }) => resolve);
  }
}
