/**
 * The package's entry for clients: `presence-hub/client`. Live presence of friends and of the user, in a browser, a
 * worker or Node. Also exports the contract's types, for clients that do not use this SDK.
 */
export type { ClientMessage } from '../../shared/messages/client-messages.ts';
export type { ErrorCode } from '../../shared/reasons.ts';
export type { Entry } from '../../shared/messages/entry.ts';
export type { HubMessage } from '../../shared/messages/hub-messages.ts';
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
