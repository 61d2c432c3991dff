/**
 * Helps if a page's client cannot reach the hub at first. Prints one warning, because an app without event listeners
 * would show nothing, and browsers give scripts no reason. Also asks for a permission that may be missing.
 */
import { askForLocalNetwork } from './local-network.ts';
import type { Client } from '../client.ts';
import type { StatusChange } from '../types.ts';

/** The connection broke, or nothing answered, so the cause is unknown. Any other code is from the hub. */
const UNKNOWN = new Set([1006, 4408]);

export function helpWhenUnreached(client: Client, url: string): void {
  const help = ({ status, reason }: StatusChange): void => {
    if (status !== 'connected' && reason === undefined) return;
    off();
    if (reason === undefined) return;
    // eslint-disable-next-line no-console -- meant for the page's developer
    console.warn(`presence-hub: no connection to ${url}: ${describe(reason, url)}`);
    if ('permissions' in navigator) void askForLocalNetwork(client, url);
  };
  const off = client.on('status', help);
  // This module may be loaded after the first attempt failed, and a refused client changes no more.
  if (client.change !== undefined) help(client.change);
}

function describe({ code, text }: { readonly code: number; readonly text: string }, url: string): string {
  if (!UNKNOWN.has(code)) return `closed with ${code} ${text}`;
  const { origin } = location;
  const health = new URL('healthz', url.replace('ws', 'http')).href;
  return [
    `${text || 'the browser does not say why'}. Check that`,
    `- the hub runs at this host and port: ${health} shows "ok"`,
    '- http or https matches the hub; a page loaded over https needs https',
    '- the path is right: the hub itself serves /ws, and a proxy may add something before it',
    '- the browser lets the page reach the local network, if the hub is there',
    `- the hub accepts pages of this origin: HUB_ORIGINS=${origin}`,
  ].join('\n');
}
