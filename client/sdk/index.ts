/**
 * The package's entry for clients: `presence-hub/client`. For now the contract's types, for whoever writes a client by
 * hand; the SDK itself will stand here.
 */
export type { ClientMessage } from '../../shared/client-messages.ts';
export type { Entry } from '../../shared/entry.ts';
export type { HubMessage } from '../../shared/hub-messages.ts';
