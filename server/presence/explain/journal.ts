/**
 * The journal: the transitions of sessions, for `explain`. A ring of plain numbers that keeps no object and no text per
 * transition. Its memory is allocated in chunks as needed: 24 bytes a transition, 13 MB at most. A user is kept as a
 * hash of 64 bits, so that a user that is no longer in memory is found too. Searches go backward from the newest
 * transition, in small steps.
 */
import { adapterNames, transitionCauses, trueStatuses } from '../../../shared/messages/explain.ts';
import type { AdapterName, TransitionCause, TrueStatus } from '../../../shared/messages/explain.ts';
import { hashInto, type HashKey } from '../../lib/collections/keyed-hash.ts';
import type { Session } from '../sessions/session.ts';

/** Minimum transitions kept once the ring is full. */
const KEPT_TRANSITIONS = 2 ** 19;
const CHUNK = 4096;

const causes = Object.keys(transitionCauses) as TransitionCause[];
const causeNo = new Map(causes.map((cause, no) => [cause, no]));
const adapterNo = new Map(adapterNames.map((adapter, no) => [adapter, no]));
const statusNo = new Map(trueStatuses.map((status, no) => [status, no]));

/** A transition, with the number of its session. */
export interface Noted {
  readonly at: number;
  readonly cause: TransitionCause;
  readonly from: TrueStatus;
  readonly to: TrueStatus;
  readonly adapter: AdapterName;
  readonly session: number;
}

/** A search in progress for one user. It goes backward from the newest transition at its start. */
export interface Search {
  readonly hash: Uint32Array;
  /** The next transition to check. */
  no: number;
  readonly atMost: number;
  readonly found: Noted[];
}

interface Chunk {
  readonly at: Float64Array;
  readonly what: Uint32Array;
  readonly session: Uint32Array;
  readonly hashA: Uint32Array;
  readonly hashB: Uint32Array;
}

export class Journal {
  readonly #chunks: Chunk[] = [];
  readonly #maxChunks: number;
  readonly #key: HashKey;
  /** Hash of the current user. */
  readonly #hash = new Uint32Array(2);
  /** Transitions noted in total. */
  #count = 0;
  #since: number;

  /** `now` is on the wall clock. `kept` is the minimum of transitions to keep. */
  constructor(key: HashKey, now: number, kept = KEPT_TRANSITIONS) {
    this.#key = key;
    this.#since = now;
    this.#maxChunks = Math.ceil(kept / CHUNK) + 1;
  }

  /** The moment, on the wall clock, since which the journal is complete. */
  get since(): number {
    return this.#since;
  }

  /** Notes a transition of a session whose user had the status `from` before and `to` after it. */
  note(at: number, cause: TransitionCause, session: Session, from: TrueStatus, to: TrueStatus): void {
    const i = this.#count % CHUNK;
    const chunk = i === 0 ? this.#nextChunk() : (this.#chunks[this.#chunkNo(this.#count)] as Chunk);
    this.#count++;
    chunk.at[i] = at;
    hashInto(this.#hash, session.user.id, this.#key);
    chunk.what[i] = pack(cause, session, from, to);
    chunk.session[i] = session.no;
    chunk.hashA[i] = this.#hash[0] ?? 0;
    chunk.hashB[i] = this.#hash[1] ?? 0;
  }

  search(user: string, atMost: number): Search {
    const hash = new Uint32Array(2);
    hashInto(hash, user, this.#key);
    return { hash, no: this.#count - 1, atMost, found: [] };
  }

  /** Checks at most `budget` further transitions. @returns whether there are more to check. */
  lookBack(search: Search, budget: number): boolean {
    const { hash, found, atMost } = search;
    const [hashA, hashB] = hash;
    const until = Math.max(this.#oldest, search.no - budget + 1);
    while (search.no >= until) {
      const chunk = this.#chunks[this.#chunkNo(search.no)] as Chunk;
      const first = Math.max(until, search.no - (search.no % CHUNK));
      for (; search.no >= first; search.no--) {
        const i = search.no % CHUNK;
        if (chunk.hashA[i] !== hashA || chunk.hashB[i] !== hashB) continue;
        found.push(noted(chunk, i));
        if (found.length === atMost) return false;
      }
    }
    return search.no >= this.#oldest;
  }

  /** Forgets the transitions of a user: about 1 ms if the ring is full. */
  forget(user: string): void {
    const { hash } = this.search(user, 0);
    const [hashA, hashB] = hash;
    for (const chunk of this.#chunks) {
      for (let i = 0; i < CHUNK; i++) {
        if (chunk.hashA[i] === hashA && chunk.hashB[i] === hashB) chunk.hashA[i] = chunk.hashB[i] = 0;
      }
    }
  }

  get #oldest(): number {
    const chunksEver = Math.ceil(this.#count / CHUNK);
    return Math.max(0, chunksEver - this.#maxChunks) * CHUNK;
  }

  #chunkNo(no: number): number {
    return Math.floor(no / CHUNK) % this.#maxChunks;
  }

  /** Adds a chunk, or reuses the oldest one and so forgets its transitions. */
  #nextChunk(): Chunk {
    const chunkNo = this.#chunkNo(this.#count);
    const oldest = this.#chunks[chunkNo];
    if (oldest !== undefined) {
      // Other transitions of that millisecond may be forgotten too. All times are checked, because the wall clock may
      // have been set back.
      for (const at of oldest.at) if (at >= this.#since) this.#since = at + 1;
      return oldest;
    }
    const chunk = {
      at: new Float64Array(CHUNK),
      what: new Uint32Array(CHUNK),
      session: new Uint32Array(CHUNK),
      hashA: new Uint32Array(CHUNK),
      hashB: new Uint32Array(CHUNK),
    };
    this.#chunks[chunkNo] = chunk;
    return chunk;
  }
}

/** Bits: 4 of cause, 2 of adapter, 3 of each status, and above them the bits of the session's number beyond 32. */
function pack(cause: TransitionCause, { adapter, no }: Session, from: TrueStatus, to: TrueStatus): number {
  return (
    (causeNo.get(cause) ?? 0) |
    ((adapterNo.get(adapter) ?? 0) << 4) |
    ((statusNo.get(from) ?? 0) << 6) |
    ((statusNo.get(to) ?? 0) << 9) |
    (Math.floor(no / 2 ** 32) << 12)
  );
}

function noted({ at, what, session }: Chunk, i: number): Noted {
  const packed = what[i] ?? 0;
  return {
    at: at[i] ?? 0,
    cause: causes[packed & 0xf] as TransitionCause,
    adapter: adapterNames[(packed >>> 4) & 0x3] as AdapterName,
    from: trueStatuses[(packed >>> 6) & 0x7] as TrueStatus,
    to: trueStatuses[(packed >>> 9) & 0x7] as TrueStatus,
    session: (packed >>> 12) * 2 ** 32 + (session[i] ?? 0),
  };
}
