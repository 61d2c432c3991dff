/** A page that has the element, and hands the test what a page's own script would have. */
import { createPresenceClient } from '../../../client/sdk/index.ts';

const own = { createPresenceClient, define: () => import('../../../client/element/index.ts') };
export type ElementPage = typeof globalThis & typeof own;
Object.assign(globalThis, own);
if (!new URLSearchParams(location.search).has('later')) void own.define();
