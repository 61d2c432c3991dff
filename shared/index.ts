/** The contract as a package entry: `presence-hub/shared`. The one barrel of this room. */
export * from './client-messages.ts';
export * from './reasons.ts';
export * from './entry.ts';
export * from './explain.ts';
export * from './http-bodies.ts';
export * from './hub-messages.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './status.ts';
