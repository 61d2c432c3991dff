/**
 * The connection that receives every change: requests the tail as an observer, and tracks whether the hub is stale. The
 * SDK's link connects and reconnects. Stores no rows.
 */
import type { HubMessage } from '../../../shared/index.ts';
import type { PresenceError, StatusChange } from '../../sdk/index.ts';
import { HubLink } from '../../sdk/internal.ts';
import { createSignal } from '../signal.ts';
import type { Access } from './access.ts';
import type { UnreachableSince } from './calls.ts';
import { hubPrefix, socketAddress } from './request-line.ts';
import type { TailedChange } from './wire.ts';

/** The delay after the hub refused the tail for now, because it has its maximum number of tails. */
const ASK_AGAIN_MS = 5000;

export type TailState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly node: string }
  | { readonly kind: 'lost' }
  /** The hub gave the reason. The page tries again later. */
  | { readonly kind: 'refused'; readonly why: string };

export interface TailSocketOptions {
  readonly access: Access;
  /** When the hub answers HTTP again, the page reconnects without waiting. */
  readonly unreachableSince: UnreachableSince;
  readonly onChanges: (changes: readonly TailedChange[], skipped: number) => void;
}

export class TailSocket {
  readonly state = createSignal<TailState>({ kind: 'connecting' });
  /** The last time of which the hub is certain; null if it is current, or nothing is known. */
  readonly staleSince = createSignal<number | null>(null);
  readonly #options: TailSocketOptions;
  #link: HubLink | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #node = '';
  #match = '';

  constructor(options: TailSocketOptions) {
    this.#options = options;
  }

  start(): void {
    const { access, unreachableSince } = this.#options;
    access.state.watch(() => {
      if (access.state.get().kind !== 'let in') this.#close();
      else if (this.#link === undefined) this.#open();
    });
    unreachableSince.watch(() => {
      if (unreachableSince.get() === null) this.#link?.check();
    });
  }

  /** Receives only changes of users whose id contains this text. */
  match(text: string): void {
    if (text === this.#match) return;
    this.#match = text;
    this.#askForTail();
  }

  #open(): void {
    const { token } = this.#options.access;
    const getToken = token === undefined ? undefined : () => token;
    const link = new HubLink(
      {
        url: socketAddress(location.origin + hubPrefix()),
        user: undefined,
        device: 'web',
        mine: {},
        WebSocket,
        getToken,
      },
      {
        onStatus: ({ status, reason }) => {
          if (this.#link === link) this.#heed(status, reason, token);
        },
        onMessage: (message) => this.#receive(message),
        onError: (error) => this.#handleError(error, token),
      },
    );
    this.#link = link;
    link.connect();
  }

  #close(): void {
    const link = this.#link;
    this.#link = undefined;
    link?.close();
    clearTimeout(this.#again);
    this.state.set({ kind: 'connecting' });
  }

  #heed(status: StatusChange['status'], reason: StatusChange['reason'], token: string | undefined): void {
    if (status === 'connected' || status === 'connecting') return;
    clearTimeout(this.#again);
    this.staleSince.set(null);
    if (status !== 'closed') return this.state.set({ kind: 'lost' });
    const { code = 0, text = '' } = reason ?? {};
    if (code === 4401 || code === 4403) this.#options.access.refuse(token, code === 4401 ? 401 : 403, text);
    else this.state.set({ kind: 'refused', why: `The hub ended the connection: ${text}` });
  }

  #receive(message: HubMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#node = message.node;
        this.staleSince.set(null);
        this.#askForTail();
        break;
      case 'ok':
        if (message.re === 'tail') this.state.set({ kind: 'live', node: this.#node });
        break;
      case 'tail':
        this.#options.onChanges(message.changes, message.skipped);
        break;
      case 'stale':
        this.staleSince.set(message.since);
        break;
      case 'fresh':
        this.staleSince.set(null);
        break;
      default:
        break;
    }
  }

  #handleError({ code, message }: PresenceError, token: string | undefined): void {
    if (code === 'forbidden') return this.#options.access.refuse(token, 403, message);
    this.state.set({ kind: 'refused', why: message });
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#askForTail(), ASK_AGAIN_MS);
  }

  #askForTail(): void {
    this.#link?.send({ type: 'tail', id: 'tail', ...(this.#match === '' ? {} : { match: this.#match }) });
  }
}
