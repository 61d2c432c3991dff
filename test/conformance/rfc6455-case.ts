/**
 * What one case of RFC 6455, sections 5 to 8, is: the bytes that a client sends once it is welcomed, and the hub's answers.
 *
 * An answer is `ok ID` (to a heartbeat with that id), `error CODE`, `pong PAYLOAD` or `close CODE`. The last one may be `close …`, or
 * `cut` if the connection ends without a close frame. Otherwise the connection must stay open.
 */
export interface FrameCase {
  readonly section: string;
  readonly rule: string;
  readonly send: readonly Uint8Array[];
  readonly answers: readonly string[];
  /** What uWebSockets.js does instead. */
  readonly onUws?: { readonly answers: readonly string[]; readonly deviation: UwsDeviation };
}

/**
 * Where uWebSockets.js deviates from the RFC. It reads and judges frames in native code and hands over whole messages only, so
 * the hub cannot correct it. shared/PROTOCOL.md lists the same deviations. A test fails when one of them disappears.
 */
export const uwsDeviations = {
  'no close frame':
    '7.1.7: it cuts a connection that it fails (SHOULD: a close frame), and may drop answers before that',
  'mask bit not checked': '5.1: it takes every frame for a masked one (MUST: close on an unmasked one)',
  'interleaved messages':
    '5.4: inside a fragmented message it takes a binary frame, and after a control frame any frame (MUST NOT)',
  'empty close frame':
    '7.4: it answers 1012 to 3999, and invalid codes and reasons, with an empty close frame (SHOULD)',
} as const;
export type UwsDeviation = keyof typeof uwsDeviations;

type Answers = Pick<FrameCase, 'answers' | 'onUws'>;

export function on(
  section: string,
  rule: string,
  send: Uint8Array | readonly Uint8Array[],
  answers: Answers,
): FrameCase {
  return { section, rule, send: send instanceof Uint8Array ? [send] : send, ...answers };
}

export function answers(...answers: string[]): Answers {
  return { answers };
}

/** The connection fails (7.1.7) with that code, after those answers. */
export function fails(code: number, ...before: string[]): Answers {
  return {
    answers: [...before, `close ${code}`],
    onUws: { answers: [...before, 'cut'], deviation: 'no close frame' },
  };
}

/** The client's close frame is itself wrong. */
export function refusesClose(code: number): Answers {
  return { answers: [`close ${code}`], onUws: { answers: ['close'], deviation: 'empty close frame' } };
}

const LONGEST_SHOWN = 60;

export function okOf(id: string): string {
  return id.length > LONGEST_SHOWN ? `ok ${id.length} characters` : `ok ${id}`;
}
