/**
 * An input: what one connection is sent, piece by piece, and the file in which inputs are kept for a replay. Knows nothing
 * of what the bytes mean.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export const targetNames = ['tcp', 'ws', 'http'] as const;
export type TargetName = (typeof targetNames)[number];

export interface Input {
  readonly no: number;
  /** Each is a write of its own. */
  readonly chunks: readonly Buffer[];
  /** Frames, messages or requests in it. */
  readonly parts: number;
  /** The first chunk asks for an answer, without which the rest would not be read. */
  readonly asksFirst?: boolean;
}

export interface Found {
  readonly target: TargetName;
  readonly seed: number;
  readonly failures: readonly string[];
  readonly inputs: readonly Input[];
}

interface Kept {
  readonly target: TargetName;
  readonly seed: number;
  readonly failures: readonly string[];
  readonly inputs: readonly {
    readonly no: number;
    readonly parts: number;
    readonly asksFirst: boolean;
    readonly chunks: readonly string[];
  }[];
}

export function keep(path: string, { target, seed, failures, inputs }: Found): void {
  const kept: Kept = {
    target,
    seed,
    failures,
    inputs: inputs.map(({ no, parts, asksFirst = false, chunks }) => ({
      no,
      parts,
      asksFirst,
      chunks: chunks.map((chunk) => Buffer.from(chunk).toString('base64')),
    })),
  };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(kept, null, 2)}\n`);
}

export function readKept(path: string): Found {
  const { inputs, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as Kept;
  const decoded = inputs.map(({ no, parts, asksFirst, chunks }) => ({
    no,
    parts,
    asksFirst,
    chunks: chunks.map((chunk) => Buffer.from(chunk, 'base64')),
  }));
  return { ...rest, inputs: decoded };
}
