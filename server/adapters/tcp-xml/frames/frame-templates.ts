/**
 * Templates of the frames that a port receives: a template is a frame with its values taken out. Legacy clients of one
 * make write the same XML around different values. A frame that fits a template need not be parsed, because its values
 * are cut from the bytes. Answers for every frame exactly what `decodeFrame` answers for its text.
 */
import { decodeText, isWide, type Encoding, type FrameEncoding } from './charset.ts';
import { decodeFrame, heartbeatOf, noValues, readFields, type Decoded, type FieldValues } from './decode.ts';
import { fields, type Field, type FieldNames } from './names.ts';

/** Characters that a hole may contain: not markup, space or reference, and the same byte in every encoding. */
const PLAIN = 'A-Za-z0-9._@:-';
/** A whole text between two tags, or a whole quoted value. */
const HOLE = new RegExp(`(?<=>)[${PLAIN}]+(?=<)|(?<=["'])[${PLAIN}]+(?=["'])`, 'g');
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(new RegExp(`[${PLAIN}]`).test(String.fromCharCode(byte))),
);

/** Enough for the makes of legacy clients on one port and the few forms of each make's frames. */
const MAX_TEMPLATES = 16;
const MAX_HOLES = 32;
const noHoles = { user_id: -1, user_state: -1, user_ip: -1, user_port: -1, device: -1, token: -1 };
/** After this many misses, learns from one miss in `LEARN_EVERY` only, because learning costs a second parse. */
const EAGER_MISSES = 64;
const LEARN_EVERY = 64;

interface Template {
  readonly detected: FrameEncoding;
  /** The bytes before each hole and after the last. */
  readonly literals: readonly Buffer[];
  /** The hole of each field's value; -1 for none. */
  readonly holeOf: Readonly<Record<Field, number>>;
  /** The values that are in no hole. */
  readonly constants: FieldValues;
}

/** Where the holes of the current frame begin and end. Reused, because only one frame is decoded at a time. */
const begins = new Uint16Array(MAX_HOLES);
const ends = new Uint16Array(MAX_HOLES);

export class FrameTemplates {
  readonly #encoding: Encoding;
  readonly #names: FieldNames;
  /** The most recently used one comes first. */
  readonly #templates: Template[] = [];
  #parsedCount = 0;

  constructor(encoding: Encoding, names: FieldNames) {
    this.#encoding = encoding;
    this.#names = names;
  }

  /** Number of frames that fitted no template known at the time. */
  get parsedCount(): number {
    return this.#parsedCount;
  }

  decode(frame: Buffer, detected: FrameEncoding): Decoded {
    for (let i = 0; i < this.#templates.length; i++) {
      const template = this.#templates[i] as Template;
      const values = template.detected === detected ? valuesOf(frame, template) : undefined;
      if (values === undefined) continue;
      if (i > 0) this.#toFront(i);
      return heartbeatOf(values);
    }
    const text = decodeText(frame, detected, this.#encoding);
    const decoded = decodeFrame(text, this.#names);
    this.#parsedCount++;
    if (decoded.ok && (this.#parsedCount <= EAGER_MISSES || this.#parsedCount % LEARN_EVERY === 0))
      this.#learn(frame, detected);
    return decoded;
  }

  #toFront(i: number): void {
    const [template] = this.#templates.splice(i, 1);
    if (template !== undefined) this.#templates.unshift(template);
  }

  #learn(frame: Buffer, detected: FrameEncoding): void {
    const template = isWide(detected) ? undefined : templateOf(frame, detected, (bytes) => this.#read(bytes, detected));
    if (template === undefined) return;
    if (this.#templates.length === MAX_TEMPLATES) this.#templates.pop();
    this.#templates.unshift(template);
  }

  #read(frame: Buffer, detected: FrameEncoding): FieldValues | undefined {
    return readFields(decodeText(frame, detected, this.#encoding), this.#names);
  }
}

/** The values of a frame that fits this template; undefined if it does not fit. */
function valuesOf(frame: Buffer, { literals, holeOf, constants }: Template): FieldValues | undefined {
  const holes = literals.length - 1;
  let at = 0;
  for (let i = 0; i < holes; i++) {
    const literal = literals[i] as Buffer;
    if (!matchesAt(frame, at, literal)) return undefined;
    const from = at + literal.length;
    at = from;
    while (isPlain[frame[at] ?? 0] === 1) at++;
    if (at === from) return undefined;
    begins[i] = from;
    ends[i] = at;
  }
  const last = literals[holes] as Buffer;
  if (at + last.length !== frame.length || !matchesAt(frame, at, last)) return undefined;
  return {
    user_id: cut(frame, holeOf.user_id, constants.user_id),
    user_state: cut(frame, holeOf.user_state, constants.user_state),
    user_ip: cut(frame, holeOf.user_ip, constants.user_ip),
    user_port: cut(frame, holeOf.user_port, constants.user_port),
    device: cut(frame, holeOf.device, constants.device),
    token: cut(frame, holeOf.token, constants.token),
  };
}

function cut(frame: Buffer, hole: number, constant: string | undefined): string | undefined {
  if (hole < 0) return constant;
  const from = begins[hole] ?? 0;
  const to = ends[hole] ?? 0;
  // Nearly every state is one digit, and V8 does not allocate a string of one character: 2.2 µs instead of 2.6 for a
  // heartbeat of a gateway (without the socket, Node 20.20, 2026-11-29).
  return to - from === 1 ? String.fromCharCode(frame[from] ?? 0) : frame.toString('latin1', from, to);
}

function matchesAt(frame: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (frame[at + i] !== literal[i]) return false;
  return true;
}

/**
 * The template of a good frame; undefined if it has no reliable one. To find each field's hole, reads the frame again
 * with a marker word in each hole. That proves that a hole is a value and nothing else, whatever the XML.
 */
function templateOf(
  frame: Buffer,
  detected: FrameEncoding,
  read: (frame: Buffer) => FieldValues | undefined,
): Template | undefined {
  const text = frame.toString('latin1');
  const bodyAt = text.startsWith('<?') ? text.indexOf('?>') : 0;
  // In a comment, CDATA or an instruction, another value could change how the rest is read.
  if (text.includes('<!') || text.indexOf('<?', bodyAt) > bodyAt) return undefined;
  const holes = Array.from(text.matchAll(HOLE)).filter(({ index }) => index > bodyAt);
  if (holes.length > MAX_HOLES) return undefined;
  const literals: Buffer[] = [];
  let from = 0;
  for (const { index, 0: value } of holes) {
    literals.push(frame.subarray(from, index));
    from = index + value.length;
  }
  literals.push(frame.subarray(from));
  const given = read(frame);
  const marked = read(
    fill(
      literals,
      holes.map((_, i) => markerOf(i)),
    ),
  );
  if (given === undefined || marked === undefined) return undefined;

  const holeOf: Record<Field, number> = { ...noHoles };
  const constants: Record<Field, string | undefined> = { ...noValues };
  for (const field of fields) {
    const hole = holes.findIndex((_, i) => markerOf(i) === marked[field]);
    // The frame itself may contain the marker word there.
    if (hole >= 0 && holes[hole]?.[0] !== given[field]) return undefined;
    holeOf[field] = hole;
    if (hole >= 0) continue;
    if (marked[field] !== given[field]) return undefined; // composed of several holes
    constants[field] = given[field];
  }
  // Fits one user only: LastFrame covers that case.
  if (holeOf.user_id < 0) return undefined;
  // Copies, so that a template never keeps a whole packet in memory.
  return { detected, literals: literals.map((literal) => Buffer.from(literal)), holeOf, constants };
}

function markerOf(hole: number): string {
  return `hole:${hole}`;
}

function fill(literals: readonly Buffer[], markers: readonly string[]): Buffer {
  return Buffer.concat(literals.flatMap((literal, i) => [literal, Buffer.from(markers[i] ?? '')]));
}
