/**
 * Tells the operator why somebody is refused: one warning a minute for each door and reason, with how many were left out,
 * since a stranger can be refused as often as it likes. Must never be given a token.
 */
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';
import { QuietLog } from './quiet-log.ts';

export type Door = 'HTTP' | 'WebSocket' | 'TCP';

/** `reason` comes out of a fixed list. `sentence` says what to change; `facts` may be a stranger's own words. */
export type ExplainRefusal = (reason: string, sentence: string, facts?: Readonly<Record<string, string>>) => void;

const EVERY_MS = 60_000;
const MAX_FACT_CHARS = 200;

export function createRefusalLog(door: Door, log: Pick<Logger, 'warn'>, clock: Clock): ExplainRefusal {
  const byReason = new Map<string, QuietLog>();
  return (reason, sentence, facts = {}) => {
    let quiet = byReason.get(reason);
    if (quiet === undefined) byReason.set(reason, (quiet = new QuietLog(clock, EVERY_MS)));
    quiet.maybe((leftOut) => {
      const short = Object.entries(facts).map(([name, fact]) => [name, fact.slice(0, MAX_FACT_CHARS)]);
      log.warn({ door, reason, ...Object.fromEntries(short), leftOut }, sentence);
    });
  };
}
