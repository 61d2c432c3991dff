'use client';
/**
 * The package's entry for React (18 or newer): `presence-hub/react`. A provider and four hooks over the SDK, which does all
 * the work; on a server they render what nobody knows yet, and open nothing.
 */
export { useConnectionStatus, useFriend, useFriends, useMyPresence } from './hooks.ts';
export type { ConnectionState, FriendsState, FriendState, MyPresence } from './hooks.ts';
export { PresenceProvider } from './provider.ts';
export type { PresenceProviderProps } from './provider.ts';
export type { PresenceFriendsAttributes } from './element-in-tsx.ts';
