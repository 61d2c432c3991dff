/** The values of HUB_TRANSPORT that work here. The contract of the engines makes sure that CI has both. */
import { loadEngine } from '../../server/sockets/load-engine.ts';

export const transports: readonly string[] = loadEngine('auto').engine.name === 'uws' ? ['uws', 'ws'] : ['ws'];
