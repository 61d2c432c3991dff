/** Runs the engine contract for each engine that loads here. In CI on Node.js 20 both must. */
import { describe, expect, it } from 'vitest';
import { engineContract } from './engine-contract.ts';
import { enginesHere } from './engine-rig.ts';

const { engines, why } = enginesHere();
if (engines.length === 1) {
  process.stderr.write(`\n!!! THE ENGINE CONTRACT DOES NOT RUN FOR uWebSockets.js HERE !!! ${why}\n\n`);
}

it.runIf(process.env['CI'] === 'true' && process.version.startsWith('v20.'))('both engines load', () => {
  expect(engines.map((engine) => engine.name)).toEqual(['ws', 'uws']);
});

describe.each(engines)('$name', (engine) => {
  engineContract(engine, engines);
});
