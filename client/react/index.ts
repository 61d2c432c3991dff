'use client';
/**
 * The package's entry for React (18 or newer): `presence-hub/react`. A provider and four hooks over the SDK. On a
 * server they render the unknown state and open no connection.
 */
export { useConnectionStatus, useFriend, useFriends, useMyPresence } from './hooks.ts';
export type { ConnectionState, FriendsState, FriendState, MyPresence } from './hooks.ts';
export { PresenceProvider } from './provider.ts';
export type { PresenceProviderProps } from './provider.ts';
export type { PresenceFriendsAttributes } from './element-in-tsx.ts';
