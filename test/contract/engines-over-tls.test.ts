/** Runs what TLS must not change of the engine contract, over TLS, for each engine that loads here. */
import { describe } from 'vitest';
import { engineContractOverTls } from './engine-contract.ts';
import { certificateFile } from '../support/certificate-file.ts';
import { enginesHere, openFiles } from './engine-rig.ts';

const tls = await openFiles(certificateFile('first.crt'), certificateFile('first.key'));

describe.each(enginesHere())('$name over TLS', (engine) => {
  engineContractOverTls({ ...engine, tls });
});
