/** The contract as a package entry: `presence-hub/shared`. The only barrel file of this folder. */
export * from './client-messages.ts';
export * from './reasons.ts';
export * from './entry.ts';
export * from './explain.ts';
export * from './http-bodies.ts';
export * from './hub-messages.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './status.ts';
