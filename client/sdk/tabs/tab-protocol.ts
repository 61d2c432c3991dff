/**
 * The messages between a tab and the server that holds the connection for all tabs, over a MessagePort or a
 * BroadcastChannel: the calls of Link in one direction, those of LinkEvents in the other. Types and names only.
 */
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { PresenceErrorCode } from '../error.ts';
import type { HubLinkOptions } from '../link/hub-link.ts';
import type { Link, LinkStatus } from '../link/link.ts';
import type { MyStatus } from '../types.ts';

/** The connection options that can be sent to another thread. */
export interface SharedOptions extends Omit<HubLinkOptions, 'WebSocket' | 'getToken'> {
  readonly hasToken: boolean;
}

export type FromTab =
  | { readonly [Name in keyof Link]: readonly [Name, ...Parameters<Link[Name]>] }[keyof Link]
  /** Joins. The tab holds `lock` as long as it lives. */
  | readonly ['open', SharedOptions, lock: string]
  /** `at`: by the tab's own clock, which differs from the clocks of others. */
  | readonly ['ping', at: number]
  /** Answers `getToken`. A null token means that the app failed; `why` is the reason. */
  | readonly ['token', no: number, token: string | null, why?: string];

export type ToTab =
  /**
   * A server is here: answer with `open`. `lock`: the lock that the server holds as long as it lives; undefined if the
   * lead lock shows that.
   */
  | readonly ['attach', lock: string | undefined]
  /**
   * The last input in any tab, by the clock of the tab that asked. The next holder of the connection starts with it.
   */
  | readonly ['pong', inputAt: number]
  | readonly ['onStatus', LinkStatus]
  | readonly ['onMessage', HubMessage]
  | readonly ['onError', code: PresenceErrorCode, message: string, isFinal: boolean]
  /** A tab has set this status. All tabs remember it for the next holder of the connection. */
  | readonly ['set', MyStatus]
  /** Asks for any message, to find out whether the tab is frozen. */
  | readonly ['ask']
  | readonly ['getToken', no: number, { readonly refresh: boolean }];

/** The common part of MessagePort and BroadcastChannel. */
export interface Port<Out> {
  postMessage(word: Out): void;
  close(): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** Returns the key of a connection. Tabs with the same key share it. */
export function keyOf({ url, user, device, hasToken }: SharedOptions): string {
  return JSON.stringify(['presence-hub', 2, url, user, device, hasToken]);
}
