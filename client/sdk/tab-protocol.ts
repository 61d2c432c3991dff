/**
 * What passes between a tab and whoever holds the connection for all of them, over a MessagePort or a BroadcastChannel: the
 * calls of Link one way, those of LinkEvents the other. Types and names alone.
 */
import type { HubMessage } from '../../shared/hub-messages.ts';
import type { PresenceErrorCode } from './error.ts';
import type { HubLinkOptions } from './hub-link.ts';
import type { Link, LinkStatus } from './link.ts';
import type { MyStatus } from './types.ts';

/** What can be told another thread of how to connect. */
export interface SharedOptions extends Omit<HubLinkOptions, 'WebSocket' | 'getToken'> {
  readonly hasToken: boolean;
}

export type FromTab =
  | { readonly [Name in keyof Link]: readonly [Name, ...Parameters<Link[Name]>] }[keyof Link]
  /** Takes part; `lock` is held as long as the tab lives. */
  | readonly ['open', SharedOptions, lock: string]
  /** `at`: by the tab's own clock, which is no other's. */
  | readonly ['ping', at: number]
  /** Answers `getToken`; no token: the app failed, and why. */
  | readonly ['token', no: number, token: string | null, why?: string];

export type ToTab =
  /** Somebody serves here: open. `lock`: held as long as whoever serves lives, where it is not the lead that says so. */
  | readonly ['attach', lock: string | undefined]
  /** The last input of all tabs, by the clock of the tab that asked: the next who holds the connection begins with it. */
  | readonly ['pong', inputAt: number]
  | readonly ['onStatus', LinkStatus]
  | readonly ['onMessage', HubMessage]
  | readonly ['onError', code: PresenceErrorCode, message: string, isFinal: boolean]
  /** A tab has set it: all remember it, for the next who holds the connection. */
  | readonly ['set', MyStatus]
  /** Say something: whether the tab is frozen is to be known. */
  | readonly ['ask']
  | readonly ['getToken', no: number, { readonly refresh: boolean }];

/** What a MessagePort and a BroadcastChannel have in common. */
export interface Port<Out> {
  postMessage(word: Out): void;
  close(): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** Tabs with one key share a connection. */
export function keyOf({ url, user, device, hasToken }: SharedOptions): string {
  return JSON.stringify(['presence-hub', 2, url, user, device, hasToken]);
}
