/**
 * The package's entry for clients: `presence-hub/client`. In a browser, a worker or Node: live presence of friends, with
 * one's own. The contract's types too, for whoever writes a client by hand.
 */
export type { ClientMessage } from '../../shared/client-messages.ts';
export type { ErrorCode } from '../../shared/reasons.ts';
export type { Entry } from '../../shared/entry.ts';
export type { HubMessage } from '../../shared/hub-messages.ts';
export type { SessionStatus, UserStatus as EntryStatus } from '../../shared/status.ts';
export { createPresenceClient } from './create.ts';
export { PresenceError, type PresenceErrorCode } from './error.ts';
export type {
  ClientEvents,
  ConnectionStatus,
  GetToken,
  ListenOptions,
  MyStatus,
  PresenceClient,
  PresenceClientOptions,
  PresenceView,
  Self,
  StatusChange,
  ViewChange,
  ViewEvents,
  WebSocketConstructor,
  WebSocketLike,
} from './types.ts';
