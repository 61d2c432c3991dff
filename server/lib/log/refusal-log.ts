/**
 * Logs why a client is refused: one warning a minute for each protocol and reason, with the number of
 * omitted ones, because a stranger can cause refusals at will. Must never be passed a token.
 */
import type { Clock } from '../time/clock.ts';
import type { Logger } from './log.ts';
import { QuietLog } from './quiet-log.ts';

export type Protocol = 'HTTP' | 'WebSocket' | 'TCP';

/** `reason` is from a fixed list. `sentence` says what to change. `facts` may contain untrusted text. */
export type ExplainRefusal = (reason: string, sentence: string, facts?: Readonly<Record<string, string>>) => void;

const EVERY_MS = 60_000;
const MAX_FACT_CHARS = 200;

export function createRefusalLog(protocol: Protocol, log: Pick<Logger, 'warn'>, clock: Clock): ExplainRefusal {
  const byReason = new Map<string, QuietLog>();
  return (reason, sentence, facts = {}) => {
    let quiet = byReason.get(reason);
    if (quiet === undefined) byReason.set(reason, (quiet = new QuietLog(clock, EVERY_MS)));
    quiet.maybe((leftOut) => {
      const short = Object.entries(facts).map(([name, fact]) => [name, fact.slice(0, MAX_FACT_CHARS)]);
      log.warn({ protocol, reason, ...Object.fromEntries(short), leftOut }, sentence);
    });
  };
}
