/**
 * A slow, obviously right model of the core: a list of sessions in the order they began, and a fold that reads the
 * contract's sentences one by one. Recomputes everything after each event. Is given which sessions ran out (when is the
 * wheel's business, and checked by the tests), decides everything else itself. Shares no code with the server.
 */

export interface ModelEntry {
  status: string;
  code: number;
  devices: string[];
  text: string;
  since: number | null;
  lastSeen: number | null;
}

export interface ModelSession {
  user: string;
  device: string;
  status: 'online' | 'away' | 'busy' | 'invisible';
  code: number;
  text: string;
  phase: 'live' | 'grace' | 'ended';
  /** Numbers of the deeds that set them; 0 for a text never set. */
  statusSetBy: number;
  textSetBy: number;
  lastSignAt: number;
  leaseMs: number;
  lostAt: number;
}

export interface ModelClaim {
  user: string;
  device: string;
  status: ModelSession['status'];
  code: number;
  text: string | undefined;
  leaseMs: number;
}

interface Deed {
  /** The user whose shown status, code, devices or text changed with it. */
  shown: boolean;
  /** The user's true fold changed. */
  true: boolean;
}

const NOTHING: Deed = { shown: false, true: false };

export class PresenceModel {
  now = 0;
  readonly #graceMs: number;
  #deedNo = 0;
  sessions: ModelSession[] = [];
  readonly #entries = new Map<string, ModelEntry>();
  /** By `user>viewer`. */
  readonly #frozen = new Map<string, ModelEntry>();
  readonly #folds = new Map<string, string>();
  /** Every sign of life of a user, and every span in which it was visible. */
  readonly #signs = new Map<string, { at: number; event: number }[]>();
  readonly #spans = new Map<string, { from: number; untilEvent: number }[]>();
  /**
   * Distinguishes what happens in one millisecond: a sign in the event that ends a span counts, a later one does not.
   */
  #event = 0;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** What `viewer` is to see of a user from now on who blocks it: as if the user had left. */
  block(user: string, viewer: string): void {
    if (this.#frozen.has(`${user}>${viewer}`)) return;
    const entry = this.entryOf(user);
    const left = {
      status: 'offline',
      code: -1,
      devices: [],
      text: '',
      since: this.now,
      lastSeen: this.now, // a goodbye is a sign of life
    };
    this.#frozen.set(`${user}>${viewer}`, entry.status === 'offline' ? entry : left);
  }

  unblock(user: string, viewer: string): void {
    this.#frozen.delete(`${user}>${viewer}`);
  }

  /** What somebody sees who is this user; `null`: no user at all. */
  entryFor(user: string, viewer: string | null): ModelEntry {
    return this.#frozen.get(`${user}>${viewer}`) ?? this.entryOf(user);
  }

  entryOf(user: string): ModelEntry {
    return (
      this.#entries.get(user) ?? { status: 'offline', code: -1, devices: [], text: '', since: null, lastSeen: null }
    );
  }

  /** The true fold, as the user itself may see it. */
  foldOf(user: string): { status: string; code: number; devices: string[]; text: string } {
    const mine = this.sessions.filter((s) => s.user === user);
    if (mine.length === 0) return { status: 'offline', code: -1, devices: [], text: '' };
    const winner = (['invisible', 'busy', 'online', 'away'] as const).find((status) =>
      mine.some((s) => s.status === status),
    )!;
    const byStatus = mine.filter((s) => s.status === winner).sort((a, b) => a.statusSetBy - b.statusSetBy);
    const byText = mine.filter((s) => s.textSetBy > 0).sort((a, b) => a.textSetBy - b.textSetBy);
    return {
      status: winner,
      code: byStatus.at(-1)!.code,
      devices: [...new Set(mine.map((s) => s.device))].sort(),
      text: byText.at(-1)?.text ?? '',
    };
  }

  begin(claim: ModelClaim): { session: ModelSession; deed: Deed } {
    const place = this.#graces(claim.user, claim.device)
      .sort((a, b) => a.lostAt - b.lostAt)
      .at(-1);
    // Of several lost in one millisecond, the one begun last: the contract leaves it open.
    if (place !== undefined) this.#end([place]);
    this.#deedNo++;
    const session: ModelSession = {
      ...claim,
      text: claim.text ?? '',
      phase: 'live',
      statusSetBy: this.#deedNo,
      textSetBy: claim.text === undefined ? 0 : this.#deedNo,
      lastSignAt: this.now,
      lostAt: 0,
    };
    this.sessions.push(session);
    this.#sign(claim.user);
    return { session, deed: this.#settle(claim.user) };
  }

  renew(session: ModelSession): void {
    session.lastSignAt = this.now;
    this.#sign(session.user);
  }

  say(session: ModelSession, said: Partial<ModelClaim>): Deed {
    this.renew(session);
    this.#deedNo++;
    if (said.leaseMs !== undefined) session.leaseMs = said.leaseMs;
    if (said.device !== undefined) session.device = said.device;
    const { status = session.status, code = session.code, text = session.text } = said;
    if (status !== session.status || code !== session.code) session.statusSetBy = this.#deedNo;
    if (text !== session.text) session.textSetBy = this.#deedNo;
    Object.assign(session, { status, code, text });
    return this.#settle(session.user);
  }

  lose(session: ModelSession): Deed {
    if (this.#graceMs === 0) return this.giveUp(session);
    if (session.phase === 'live') Object.assign(session, { phase: 'grace', lostAt: this.now });
    return NOTHING;
  }

  leave(session: ModelSession): Deed {
    if (session.phase !== 'ended') this.#sign(session.user);
    this.#end([session]);
    return this.leaveDevice(session.user, session.device);
  }

  leaveDevice(user: string, device: string): Deed {
    const graces = this.#graces(user, device);
    if (graces.length > 0) this.#sign(user);
    this.#end(graces);
    return this.#settle(user);
  }

  giveUp(session: ModelSession): Deed {
    this.#end([session]);
    return this.#settle(session.user);
  }

  /** When the session ends if it sends nothing more. */
  endsAt(session: ModelSession): number {
    return session.phase === 'grace' ? session.lostAt + this.#graceMs : session.lastSignAt + session.leaseMs;
  }

  /** These ran out: they end in one moment. @returns the users shown otherwise than before. */
  runOut(sessions: ModelSession[]): Set<string> {
    this.#end(sessions);
    const users = new Set(sessions.map(({ user }) => user));
    return new Set([...users].filter((user) => this.#settle(user).shown));
  }

  #graces(user: string, device: string): ModelSession[] {
    return this.sessions.filter((s) => s.user === user && s.device === device && s.phase === 'grace');
  }

  #end(ended: ModelSession[]): void {
    for (const session of ended) session.phase = 'ended';
    this.sessions = this.sessions.filter((s) => s.phase !== 'ended');
  }

  #sign(user: string): void {
    this.#signs.set(user, [...(this.#signs.get(user) ?? []), { at: this.now, event: this.#event }]);
  }

  /** Folds again, and makes the entry if what is shown has changed. */
  #settle(user: string): Deed {
    const fold = this.foldOf(user);
    const foldText = JSON.stringify(fold);
    const isTrueChange =
      foldText !== (this.#folds.get(user) ?? JSON.stringify({ status: 'offline', code: -1, devices: [], text: '' }));
    this.#folds.set(user, foldText);
    const isHidden = fold.status === 'invisible' || fold.status === 'offline';
    const shown = isHidden ? { status: 'offline', code: -1, devices: [], text: '' } : fold;
    const before = this.entryOf(user);
    this.#markSpans(user, before.status !== 'offline', !isHidden);
    const isShown = JSON.stringify(shown) !== JSON.stringify(pick(before));
    if (isShown) {
      this.#entries.set(user, {
        ...shown,
        since: shown.status === before.status ? before.since : this.now,
        lastSeen: this.#lastSign(user),
      });
    }
    return { shown: isShown, true: isTrueChange };
  }

  #markSpans(user: string, was: boolean, is: boolean): void {
    const spans = this.#spans.get(user) ?? [];
    this.#spans.set(user, spans);
    if (is && !was) spans.push({ from: this.now, untilEvent: Infinity });
    if (was && !is) spans.at(-1)!.untilEvent = this.#event;
    this.#event++;
  }

  /** The last sign of life that came while the user was visible. */
  #lastSign(user: string): number | null {
    const spans = this.#spans.get(user) ?? [];
    const isSeen = (sign: { at: number; event: number }): boolean =>
      spans.some(({ from, untilEvent }) => from <= sign.at && sign.event <= untilEvent);
    return (this.#signs.get(user) ?? []).filter(isSeen).at(-1)?.at ?? null;
  }
}

function pick({ status, code, devices, text }: ModelEntry): object {
  return { status, code, devices, text };
}
