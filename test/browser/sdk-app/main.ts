/** The app of the SDK's browser tests: what a user's own app would bundle, with the SDK's entry within the page's reach. */
import { createPresenceClient } from '../../../client/sdk/index.ts';

Object.assign(globalThis, { createPresenceClient });
