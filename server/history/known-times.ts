/** The unknown times of a history that several hubs record. Pure. */
import type { Gap } from './port.ts';
import type { KnownTime } from './shared-port.ts';

/** The parts of the span that no hub knew, and those in which a hub did not store its changes. In order; may overlap. */
export function gapsBetween(known: readonly KnownTime[], lost: readonly KnownTime[], span: KnownTime): Gap[] {
  const gaps: Gap[] = [];
  let until = span.from;
  for (const { from, to } of [...known].sort((a, b) => a.from - b.from)) {
    if (from >= span.to) break;
    if (from > until) gaps.push({ from: until, to: from });
    until = Math.max(until, to);
  }
  if (until < span.to) gaps.push({ from: until, to: span.to });
  const touching = lost.filter(({ from, to }) => from < span.to && to > span.from);
  return [...gaps, ...touching].sort((a, b) => a.from - b.from);
}
