/**
 * The shapes of the frames that a port hears: a frame with its values taken out. Legacy clients of one make write the same
 * XML around other values, so a frame of a known shape need not be parsed: its values are cut out of the bytes where a
 * parsed frame of that shape had them. Answers for every frame exactly what `decodeFrame` answers for its text
 * (test/unit/adapters/tcp-xml/shapes.test.ts holds it to that). The listener has one; each connection's decoder asks it.
 */
import { decodeText, isWide, type Encoding, type FrameEncoding } from './charset.ts';
import { decodeFrame, heartbeatOf, noValues, readFields, type Decoded, type FieldValues } from './decode.ts';
import { fields, type Field, type FieldNames } from './names.ts';

/** What may stand in a hole: it is neither markup nor space nor reference, and the same byte in every encoding. */
const PLAIN = 'A-Za-z0-9._@:-';
/** The whole of a text between two tags, or of a quoted value. */
const HOLE = new RegExp(`(?<=>)[${PLAIN}]+(?=<)|(?<=["'])[${PLAIN}]+(?=["'])`, 'g');
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(new RegExp(`[${PLAIN}]`).test(String.fromCharCode(byte))),
);

/** Makes of legacy clients on one port, and of each the few forms of its frames. */
const MAX_SHAPES = 16;
const MAX_HOLES = 32;
const noHoles = { user_id: -1, user_state: -1, user_ip: -1, user_port: -1, device: -1, token: -1 };
/** After so many frames that fit none, only every so manieth is learned from: learning costs another parse. */
const EAGER_MISSES = 64;
const LEARN_EVERY = 64;

interface Shape {
  readonly seen: FrameEncoding;
  /** What stands before each hole, and behind the last. */
  readonly literals: readonly Buffer[];
  /** The hole in which each field's value stands; -1 for none. */
  readonly holeOf: Readonly<Record<Field, number>>;
  /** The values that stand in no hole. */
  readonly constants: FieldValues;
}

/** Where the holes of the frame in hand begin and end: reused, since there is one such frame at a time. */
const begins = new Uint16Array(MAX_HOLES);
const ends = new Uint16Array(MAX_HOLES);

export class FrameTemplates {
  readonly #encoding: Encoding;
  readonly #names: FieldNames;
  /** The one that fitted last comes first. */
  readonly #shapes: Shape[] = [];
  #parsedCount = 0;

  constructor(encoding: Encoding, names: FieldNames) {
    this.#encoding = encoding;
    this.#names = names;
  }

  /** Frames that fitted no shape known by then. */
  get parsedCount(): number {
    return this.#parsedCount;
  }

  decode(frame: Buffer, seen: FrameEncoding): Decoded {
    for (let i = 0; i < this.#shapes.length; i++) {
      const shape = this.#shapes[i] as Shape;
      const values = shape.seen === seen ? valuesOf(frame, shape) : undefined;
      if (values === undefined) continue;
      if (i > 0) this.#toFront(i);
      return heartbeatOf(values);
    }
    const text = decodeText(frame, seen, this.#encoding);
    const decoded = decodeFrame(text, this.#names);
    this.#parsedCount++;
    if (decoded.ok && (this.#parsedCount <= EAGER_MISSES || this.#parsedCount % LEARN_EVERY === 0))
      this.#learn(frame, seen);
    return decoded;
  }

  #toFront(i: number): void {
    const [shape] = this.#shapes.splice(i, 1);
    if (shape !== undefined) this.#shapes.unshift(shape);
  }

  #learn(frame: Buffer, seen: FrameEncoding): void {
    const shape = isWide(seen) ? undefined : shapeOf(frame, seen, (bytes) => this.#read(bytes, seen));
    if (shape === undefined) return;
    if (this.#shapes.length === MAX_SHAPES) this.#shapes.pop();
    this.#shapes.unshift(shape);
  }

  #read(frame: Buffer, seen: FrameEncoding): FieldValues | undefined {
    return readFields(decodeText(frame, seen, this.#encoding), this.#names);
  }
}

/** The values of a frame of this shape; undefined where it is of another. */
function valuesOf(frame: Buffer, { literals, holeOf, constants }: Shape): FieldValues | undefined {
  const holes = literals.length - 1;
  let at = 0;
  for (let i = 0; i < holes; i++) {
    const literal = literals[i] as Buffer;
    if (!standsAt(frame, at, literal)) return undefined;
    const from = at + literal.length;
    at = from;
    while (isPlain[frame[at] ?? 0] === 1) at++;
    if (at === from) return undefined;
    begins[i] = from;
    ends[i] = at;
  }
  const last = literals[holes] as Buffer;
  if (at + last.length !== frame.length || !standsAt(frame, at, last)) return undefined;
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
  // Nearly every state is one digit, and a string of one character need not be made.
  return to - from === 1 ? String.fromCharCode(frame[from] ?? 0) : frame.toString('latin1', from, to);
}

function standsAt(frame: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (frame[at + i] !== literal[i]) return false;
  return true;
}

/**
 * The shape of a good frame; undefined where it has none that would hold. Which hole is which field's is found by reading
 * the frame once more with a word of our own in each: so whatever the XML is like, a hole is a value and nothing else.
 */
function shapeOf(
  frame: Buffer,
  seen: FrameEncoding,
  read: (frame: Buffer) => FieldValues | undefined,
): Shape | undefined {
  const text = frame.toString('latin1');
  const bodyAt = text.startsWith('<?') ? text.indexOf('?>') : 0;
  // In a comment, CDATA or an instruction other words could be more than words.
  if (text.includes('<!') || text.indexOf('<?', bodyAt) > bodyAt) return undefined;
  const runs = Array.from(text.matchAll(HOLE)).filter(({ index }) => index > bodyAt);
  if (runs.length > MAX_HOLES) return undefined;
  const literals: Buffer[] = [];
  let from = 0;
  for (const { index, 0: run } of runs) {
    literals.push(frame.subarray(from, index));
    from = index + run.length;
  }
  literals.push(frame.subarray(from));
  const given = read(frame);
  const marked = read(
    fill(
      literals,
      runs.map((_, i) => wordOf(i)),
    ),
  );
  if (given === undefined || marked === undefined) return undefined;

  const holeOf: Record<Field, number> = { ...noHoles };
  const constants: Record<Field, string | undefined> = { ...noValues };
  for (const field of fields) {
    const hole = runs.findIndex((_, i) => wordOf(i) === marked[field]);
    // Our word may also be what the frame itself says there.
    if (hole >= 0 && runs[hole]?.[0] !== given[field]) return undefined;
    holeOf[field] = hole;
    if (hole >= 0) continue;
    if (marked[field] !== given[field]) return undefined; // made of several
    constants[field] = given[field];
  }
  // Of one user alone: that is what a connection's last frame is kept for.
  if (holeOf.user_id < 0) return undefined;
  // Copies, so that a shape never keeps a whole packet's memory.
  return { seen, literals: literals.map((literal) => Buffer.from(literal)), holeOf, constants };
}

function wordOf(hole: number): string {
  return `hole:${hole}`;
}

function fill(literals: readonly Buffer[], words: readonly string[]): Buffer {
  return Buffer.concat(literals.flatMap((literal, i) => [literal, Buffer.from(words[i] ?? '')]));
}
