/** What a target must do: make the input of a number from chance alone. Implemented by tcp.ts, ws.ts and http.ts. */
import type { Random } from '../../bench/lib/random.ts';
import type { Corpus } from '../lib/corpus.ts';
import type { Input } from '../lib/input.ts';

export interface Target {
  readonly name: string;
  readonly door: 'tcp' | 'http';
  make(random: Random, corpus: Corpus): Omit<Input, 'no'>;
}
