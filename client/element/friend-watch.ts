/**
 * One watch of friends while the element is shown: updates the list at most once a frame, and the line above it if the
 * data is uncertain. Ends everything that it began.
 */
import type { PresenceClient, PresenceView } from '../sdk/index.ts';
import { timeInWords } from '../ui/ago.ts';
import type { FriendList } from './friend-list.ts';

const AGE_EVERY_MS = 15_000;

export class FriendWatch {
  readonly #client: PresenceClient;
  readonly #isOwn: boolean;
  readonly #list: FriendList;
  readonly #view: PresenceView;
  readonly #ended = new AbortController();
  readonly #ages: ReturnType<typeof setInterval>;
  #frame: number | undefined;
  #reason = '';

  constructor(client: PresenceClient, isOwn: boolean, user: string | undefined, list: FriendList) {
    this.#client = client;
    this.#isOwn = isOwn;
    this.#list = list;
    const { signal } = this.#ended;
    client.on('status', ({ reason }) => (this.#reason = reason?.text ?? ''), { signal });
    this.#view = client.watchFriends(user);
    for (const type of ['sync', 'change', 'status', 'error'] as const)
      this.#view.on(type, () => this.show(), { signal });
    this.#ages = setInterval(() => list.age(client.hubNow()), AGE_EVERY_MS);
    this.show();
  }

  /** Whether the watch can only continue after its attributes change. */
  get isRefused(): boolean {
    return this.#view.status === 'closed' || this.#view.error !== null;
  }

  show(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#list.show(this.#view.entries, this.#line(), this.#client.hubNow());
    });
  }

  end(): void {
    this.#ended.abort();
    clearInterval(this.#ages);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#view.close();
    if (this.#isOwn) this.#client.close();
  }

  /** Empty if all is well. */
  #line(): string {
    const { status, error, isSynced, staleSince, entries } = this.#view;
    if (error !== null) return error.message;
    if (status === 'closed') return this.#reason === '' ? 'Not connected.' : `Not connected: ${this.#reason}`;
    if (!isSynced) return status === 'disconnected' ? 'Offline.' : 'Connecting…';
    if (staleSince === null) return entries.size === 0 ? 'No friends yet.' : '';
    const asOf = `As of ${timeInWords(staleSince, this.#client.hubNow())}`;
    if (status === 'connected') return `${asOf}: some friends may still be reconnecting.`;
    return status === 'disconnected' ? `${asOf}, offline.` : `${asOf}, reconnecting…`;
  }
}
