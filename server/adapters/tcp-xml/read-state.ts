/**
 * The state in a whole XML body, in any encoding that a frame may have: what a polled target answers. Pure; hub.ts hands
 * it to the poller, since adapters do not know each other.
 */
import { decodeText, type Encoding } from './charset.ts';
import { decodeState } from './decode.ts';
import { Framer } from './framer.ts';
import type { FieldNames } from './names.ts';

/** The `user_state` of the first frame in the body; undefined where there is none, or none of its form. */
export function readXmlState(body: Buffer, encoding: Encoding, names: FieldNames): number | undefined {
  const states: (number | undefined)[] = [];
  new Framer(encoding).push(body, (frame, seen) => states.push(decodeState(decodeText(frame, seen, encoding), names)));
  return states[0];
}
