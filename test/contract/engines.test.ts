/** Runs the engine contract for each engine that loads here. In CI on Node.js 20 both must. */
import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../server/sockets/load-engine.ts';
import type { Engine } from '../../server/sockets/port.ts';
import { engineContract } from './engine-contract.ts';

const uws = loadEngine('auto');
const engines: Engine[] = [loadEngine('ws').engine];
if (uws.engine.name === 'uws') engines.push(uws.engine);
else process.stderr.write(`\n!!! THE ENGINE CONTRACT DOES NOT RUN FOR uWebSockets.js HERE !!! ${uws.why}\n\n`);

it.runIf(process.env['CI'] === 'true' && process.version.startsWith('v20.'))('both engines load', () => {
  expect(engines.map((engine) => engine.name)).toEqual(['ws', 'uws']);
});

describe.each(engines)('$name', (engine) => {
  engineContract(engine, engines);
});
