/**
 * The fuzzer: makes inputs from a seed, or takes those of a file, and sends them; remembers the last ones, so that a
 * failure can be reproduced. Runs in a separate process.
 */
import { Random } from '../../bench/lib/random.ts';
import { serveRole } from '../../bench/lib/roles.ts';
import { readCorpus } from '../lib/corpus.ts';
import type { Input, TargetName } from '../lib/input.ts';
import { send, type Door } from '../lib/sender.ts';
import { http } from '../targets/http.ts';
import { tcp } from '../targets/tcp.ts';
import { ws } from '../targets/ws.ts';

export interface FuzzTask {
  readonly target: TargetName;
  readonly seed: number;
  readonly door: Door;
  /** Connections at once. */
  readonly lanes: number;
}

export interface FuzzFigures {
  readonly inputs: number;
  readonly parts: number;
  readonly bytes: number;
}

const REMEMBERED = 400;
const targets = { tcp, ws, http };
let isOver = false;
let nextNo = 0;
let parts = 0;
let bytes = 0;
const recent: Input[] = [];

const commands = {
  start: ({ target, seed, door, lanes }: FuzzTask): void => {
    const corpus = readCorpus();
    const lane = async (): Promise<void> => {
      while (!isOver) {
        const no = nextNo;
        nextNo += 1;
        // Each input has a chance of its own, so that any of them can be made again by its number.
        const input = { no, ...targets[target].make(new Random(seed * 1_000_003 + no), corpus) };
        remember(input);
        await send(door, input);
      }
    };
    for (let no = 0; no < lanes; no += 1) void lane();
  },
  replay: async ({ door, inputs }: { readonly door: Door; readonly inputs: readonly Input[] }): Promise<void> => {
    for (const kept of inputs) {
      const input = { ...kept, chunks: kept.chunks.map((chunk) => Buffer.from(chunk)) };
      remember(input);
      await send(door, input);
    }
  },
  figures: (): FuzzFigures => ({ inputs: nextNo, parts, bytes }),
  stop: (): void => {
    isOver = true;
  },
  recent: (): readonly Input[] => recent,
};

export type FuzzerCommands = typeof commands;

function remember(input: Input): void {
  parts += input.parts;
  for (const { length } of input.chunks) bytes += length;
  recent.push(input);
  if (recent.length > 2 * REMEMBERED) recent.splice(0, REMEMBERED);
}

serveRole(commands);
