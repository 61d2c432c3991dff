/**
 * Reads the state from a whole XML body, such as the answer of a polled target, in any encoding that a frame may have.
 * Pure. The hub passes it to the poller, because adapters must not import each other.
 */
import { decodeText, type Encoding } from './charset.ts';
import { decodeState } from './decode.ts';
import { Framer } from './framer.ts';
import type { FieldNames } from './names.ts';

/** The `user_state` of the first frame in the body. Undefined if there is no frame or its state is not valid. */
export function readXmlState(body: Buffer, encoding: Encoding, names: FieldNames): number | undefined {
  const states: (number | undefined)[] = [];
  new Framer(encoding).push(body, (frame, detected) =>
    states.push(decodeState(decodeText(frame, detected, encoding), names)),
  );
  return states[0];
}
