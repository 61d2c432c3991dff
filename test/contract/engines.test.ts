/** Runs the engine contract for each engine that loads here. */
import { describe, expect, it } from 'vitest';
import { engineContract } from './engine-contract.ts';
import { needing } from '../support/needs.ts';
import { enginesHere } from './engine-rig.ts';

const engines = enginesHere();

it('both engines load', needing('uWebSockets.js'), () => {
  expect(engines.map((engine) => engine.name)).toEqual(['ws', 'uws']);
});

describe.each(engines)('$name', (engine) => {
  engineContract(engine, engines);
});
