/**
 * Whether what is shown may be behind, and since when: after a restart, or while a mass lapse is doubted. Watchers are
 * told `stale` when the first reason begins (again when another reaches further back), `fresh` when the last one is over.
 * The store is told the same, for a run that ends meanwhile leaves the next one no surer than it was. Part of hub.ts.
 */
import type { WsJson } from '../adapters/ws-json/ws-json.ts';
import type { Moment } from '../lib/clock.ts';
import type { Doubt } from '../presence/outcomes.ts';
import type { Presence } from '../presence/presence.ts';
import type { StoreState } from '../store/port.ts';
import type { Core } from './core.ts';
import { keepSureUntil, type Lasting } from './lasting.ts';
import type { Site } from './site.ts';

export interface Reason {
  /** The last moment of which the hub is sure, on the wall clock. */
  readonly since: number;
  readonly isOver: (monoMs: number) => boolean;
}

interface StalenessOptions {
  /** Also when a later reason reaches further back. */
  readonly onStale: (since: number) => void;
  /** All is known again, and told. */
  readonly onFresh: () => void;
}

export class Staleness {
  readonly #options: StalenessOptions;
  #reasons: Reason[] = [];

  constructor(options: StalenessOptions) {
    this.#options = options;
  }

  /** Since when what is shown may be behind, on the wall clock; null where nothing is. */
  get since(): number | null {
    return this.#reasons.length === 0 ? null : Math.min(...this.#reasons.map(({ since }) => since));
  }

  begin(reason: Reason): void {
    const before = this.since;
    this.#reasons.push(reason);
    if (before === null || reason.since < before) this.#options.onStale(reason.since);
  }

  /** The lease timer came by. */
  look(monoMs: number): void {
    if (this.#reasons.length === 0) return;
    this.#reasons = this.#reasons.filter(({ isOver }) => !isOver(monoMs));
    if (this.#reasons.length === 0) this.#options.onFresh();
  }
}

/** Begins with what the restart leaves unsure. */
export function buildStaleness(
  site: Site,
  { presence, fanout }: Core,
  { store, hubClock }: Lasting,
  wsJson: WsJson,
): Staleness {
  const { clock, config } = site;
  const staleness = new Staleness({
    onStale: (since) => {
      keepSureUntil(site, store, since);
      wsJson.broadcast({ type: 'stale', since });
    },
    onFresh: () => {
      fanout.flushAll();
      wsJson.broadcast({ type: 'fresh', at: hubClock.sentUpTo(clock.now().wallMs) });
      keepSureUntil(site, store, null);
    },
  });
  const now = clock.now();
  const reason = untilBack(presence, store.state, config.warmMs, now);
  if (!reason.isOver(now.monoMs)) staleness.begin(reason);
  else keepSureUntil(site, store, null);
  return staleness;
}

/** The sessions that ran out are looked at up to two looks late; what became of them goes out before `fresh`. */
const SETTLED_AFTER_MS = 100;

/** After a restart: until everybody is back, or the warm time is over. */
function untilBack(presence: Presence, { sureUntil, certainFrom }: StoreState, warmMs: number, now: Moment): Reason {
  const endsAt = now.monoMs + warmMs + SETTLED_AFTER_MS;
  const since = Math.min(sureUntil ?? now.wallMs, now.wallMs);
  // After an unclean end nobody can know whether all are back: somebody may have come in its last moment.
  const isUnclean = sureUntil !== null && sureUntil < certainFrom;
  return { since, isOver: (monoMs) => (!isUnclean && presence.restoredCount === 0) || monoMs >= endsAt };
}

/** While a mass lapse is doubted. */
export function untilDecided({ since, heldUntil }: Doubt): Reason {
  const endsAt = heldUntil + SETTLED_AFTER_MS;
  return { since, isOver: (monoMs) => monoMs >= endsAt };
}
