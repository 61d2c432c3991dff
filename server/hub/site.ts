/**
 * What every part of the building needs: the settings, the clock, the log, and the tables that settings are read into
 * by the rooms that know their form. Part of hub.ts; builds nothing.
 */
import { encodingOf, type Encoding } from '../adapters/tcp-xml/charset.ts';
import { parseFieldNames, type FieldNames } from '../adapters/tcp-xml/names.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Stalls } from '../lib/stall-clock.ts';
import type { Logger } from '../lib/log.ts';
import { StartError } from '../lib/start-error.ts';
import { CodeTable } from '../presence/codes.ts';

export interface Site {
  readonly config: Config;
  readonly clock: Clock;
  /** What the clock leaves out. */
  readonly stalls: Stalls;
  readonly log: Logger;
  readonly codes: CodeTable;
  readonly names: FieldNames;
  readonly encoding: Encoding;
  /** What fails right now, by part. */
  readonly failing: Map<string, string>;
  /** The hub takes leave: leases stand still, since beats may not get in any more. */
  isDraining: boolean;
  /** Has `end` called at the stop; the last one first. */
  readonly onStop: (end: () => void | Promise<void>) => void;
}

/** @throws {StartError} with one sentence that names the setting. */
export function readTables({
  codes: codesGiven,
  tcpNames,
  tcpEncoding,
}: Config): Pick<Site, 'codes' | 'names' | 'encoding'> {
  const codes = CodeTable.parse(codesGiven);
  if (!codes.ok) throw new StartError(`HUB_CODES is "${codesGiven ?? ''}": it ${codes.problem}`);
  const names = parseFieldNames(tcpNames ?? '');
  if (!names.ok) throw new StartError(`HUB_TCP_NAMES is "${tcpNames ?? ''}": ${names.problem}`);
  const encoding = encodingOf(tcpEncoding);
  if (encoding === undefined) {
    const known = 'utf-8, gbk, gb18030, gb2312, big5, iso-8859-1, utf-16le or utf-16be';
    throw new StartError(`HUB_TCP_ENCODING is "${tcpEncoding}": it must be one of ${known}`);
  }
  return { codes: codes.table, names: names.value, encoding };
}
