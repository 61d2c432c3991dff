/** The contract as a package entry: `presence-hub/shared`. The only barrel file of this folder. */
export * from './messages/client-messages.ts';
export * from './reasons.ts';
export * from './messages/entry.ts';
export * from './messages/explain.ts';
export * from './messages/http-bodies.ts';
export * from './messages/hub-messages.ts';
export * from './messages/webhook.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './status.ts';
