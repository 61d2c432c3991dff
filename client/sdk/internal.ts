/**
 * What the command line and the dashboard share with the SDK beyond its public entry: the connection, the token renewal
 * and the reconnect policy. Not an entry of the package: apps must not import it.
 */
export { HubLink } from './link/hub-link.ts';
export { waitMs } from './link/reconnect-policy.ts';
export { Tokens } from './link/tokens.ts';
