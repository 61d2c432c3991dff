/**
 * Finds the end of a frame that is one empty element, `<protocol …/>`, with at most a declaration before it. Such a
 * frame has no `</protocol>`. Reads each character once, however packets cut the frame, and stops at the first one that
 * shows that the root is not empty. Does not check whether the frame is well formed.
 */
import { isWide, type FrameEncoding } from './charset.ts';
import { isSpace } from './space.ts';

const ROOT = '<protocol';
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const LESS_THAN = 0x3c;
const GREATER_THAN = 0x3e;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;

type Phase = 'root' | 'declaration' | 'after name' | 'attributes' | 'not empty';

export class EmptyRoot {
  #phase: Phase = 'not empty';
  /** Bytes of the frame read so far. */
  #readBytes = 0;
  /** Characters of `<protocol` matched so far. */
  #matched = 0;
  #isDeclared = false;
  /** The quote that opened the current value; 0 outside of values. */
  #quote = 0;
  #previous = 0;

  /** Starts over for a new frame. */
  begin(): void {
    this.#phase = 'root';
    this.#readBytes = 0;
    this.#matched = 0;
    this.#isDeclared = false;
    this.#quote = 0;
  }

  /** The end of the frame that begins at `start`. Undefined if it has not arrived yet or the root is not empty. */
  endIn(bytes: Buffer, start: number, detected: FrameEncoding): number | undefined {
    const width = isWide(detected) ? 2 : 1;
    while (this.#phase !== 'not empty') {
      const at = start + this.#readBytes;
      if (at + width > bytes.length) return undefined;
      this.#readBytes += width;
      const character =
        width === 1 ? bytes[at] : detected === 'utf-16le' ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
      if (this.#isEnd(character ?? 0)) return at + width;
    }
    return undefined;
  }

  #isEnd(character: number): boolean {
    switch (this.#phase) {
      case 'root':
        this.#phase = this.#afterRoot(character);
        return false;
      case 'after name':
        this.#phase = isSpace(character) || character === SLASH ? 'attributes' : 'not empty';
        break;
      case 'declaration':
        if (this.#endsTag(character) && this.#previous === QUESTION_MARK) {
          this.#phase = 'root';
          this.#matched = 0;
        }
        break;
      case 'attributes':
        if (!this.#endsTag(character)) break;
        if (this.#previous === SLASH) return true;
        this.#phase = 'not empty';
        break;
      case 'not empty':
        break;
    }
    this.#previous = character;
    return false;
  }

  #afterRoot(character: number): Phase {
    if (character === ROOT.charCodeAt(this.#matched)) return ++this.#matched === ROOT.length ? 'after name' : 'root';
    if (this.#isDeclared) return this.#matched === 0 && isSpace(character) ? 'root' : 'not empty';
    if (this.#matched !== 1 || character !== QUESTION_MARK) return 'not empty';
    this.#isDeclared = true;
    return 'declaration';
  }

  /** Whether the character is a `>` outside of quotes. No tag contains `<`, quoted or not. */
  #endsTag(character: number): boolean {
    if (character === LESS_THAN) {
      this.#phase = 'not empty';
    } else if (this.#quote !== 0) {
      if (character === this.#quote) this.#quote = 0;
    } else if (character === DOUBLE_QUOTE || character === SINGLE_QUOTE) {
      this.#quote = character;
    } else {
      return character === GREATER_THAN;
    }
    return false;
  }
}
