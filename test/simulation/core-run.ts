/**
 * One run of the core beside its model: does each deed to both, and holds the core to the model after it.
 * The deeds come from fast-check (see `coreDeed`) or from a failing run that was kept.
 */
import fc from 'fast-check';
import type { Entry } from '../../shared/messages/entry.ts';
import type { Session } from '../../server/presence/sessions/session.ts';
import { admin, codeOf, TICK_MS, type PresenceStage } from '../support/presence-stage.ts';
import { PresenceModel, type ModelClaim, type ModelEntry, type ModelSession } from './model.ts';

export const users = ['a', 'b', 'c', 'd'] as const;
const adapters = ['tcp-xml', 'ws-json', 'http'] as const;

export type CoreDeed =
  | { kind: 'begin'; claim: ModelClaim; adapter: (typeof adapters)[number] }
  | { kind: 'say'; at: number; said: Partial<ModelClaim> }
  | { kind: 'renew' | 'lose' | 'leave' | 'giveUp'; at: number }
  | { kind: 'leaveDevice'; user: string; device: string }
  | { kind: 'pass'; ms: number; budget: number }
  | { kind: 'evict' };

/** Mostly one user, so that its sessions meet. */
const mostlyA = fc.constantFrom('a', 'a', 'a', ...users);
const device = fc.constantFrom('web', 'web', 'phone');
const text = fc.constantFrom(undefined, undefined, '', 'x', 'y');
const leaseMs = fc.constantFrom(400, 3000);
const statusAndCode = fc
  .tuple(fc.constantFrom('online', 'online', 'away', 'busy', 'invisible'), fc.constantFrom(undefined, undefined, 7, 8))
  .map(([status, code]) => ({ status, code: (status === 'online' ? code : undefined) ?? codeOf[status] }));

const claim: fc.Arbitrary<ModelClaim> = fc
  .record({ user: mostlyA, device, text, leaseMs, spoken: statusAndCode })
  .map(({ spoken, ...rest }) => ({ ...rest, ...spoken }));
const said: fc.Arbitrary<Partial<ModelClaim>> = fc
  .record({
    spoken: fc.option(statusAndCode, { nil: {} }),
    more: fc.record({ device, text, leaseMs }, { requiredKeys: [] }),
  })
  .map(({ spoken, more }) => ({ ...spoken, ...more }));
const at = fc.nat(15);
/** Of all sizes, and often about as long as a lease or a grace. */
const ms = fc.oneof(
  fc.nat(3),
  fc.integer({ min: 4, max: 120 }),
  fc.integer({ min: 380, max: 460 }),
  fc.constantFrom(800, 850, 3000, 3_600_000),
);

export const coreDeed: fc.Arbitrary<CoreDeed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('begin' as const), claim, adapter: fc.constantFrom(...adapters) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('say' as const), at, said }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('renew', 'lose', 'lose', 'leave', 'giveUp'), at }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('leaveDevice' as const), user: mostlyA, device }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms, budget: fc.constantFrom(1, 2, 1000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('evict' as const) }) },
);

interface Pair {
  readonly real: Session;
  readonly model: ModelSession;
}

/** Fails if two values differ as JSON. Much faster than a matcher, for checks that run millions of times. */
export function same(actual: unknown, wanted: unknown, what: string): void {
  const [a, w] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (a !== w) throw new Error(`${what}: is ${a}, should be ${w}`);
}

export class CoreRun {
  readonly stage: PresenceStage;
  readonly model: PresenceModel;
  readonly #pairs: Pair[] = [];
  readonly #entriesBefore = new Map<string, Entry>();

  /** False once the wall clock was stepped, because the entries' times then differ from the model's. */
  #isWallSteady = true;

  constructor(stage: PresenceStage) {
    this.stage = stage;
    this.model = new PresenceModel(stage.graceMs);
    this.model.now = stage.clock.wallMs;
    for (const user of users) this.#entriesBefore.set(user, this.stage.entry(user));
  }

  apply(deed: CoreDeed): void {
    switch (deed.kind) {
      case 'begin':
        this.#begin(deed.claim, deed.adapter);
        break;
      case 'say':
        this.#with(deed.at, 'live', (pair) => this.#say(pair, deed.said));
        break;
      case 'renew':
        this.#with(deed.at, 'live', ({ real, model }) => {
          this.stage.renew(real);
          this.model.renew(model);
        });
        break;
      case 'lose':
      case 'leave':
      case 'giveUp': {
        const { kind } = deed;
        // Of one that is over, too: a late word of an old connection.
        this.#with(deed.at, 'any', ({ real, model }) => this.#agree(this.stage[kind](real), this.model[kind](model)));
        break;
      }
      case 'leaveDevice':
        this.#agree(this.stage.leaveDevice(deed.user, deed.device), this.model.leaveDevice(deed.user, deed.device));
        break;
      case 'pass':
        this.#pass(deed.ms, deed.budget);
        break;
      case 'evict':
        this.stage.evict();
        break;
      default:
        deed satisfies never;
    }
    this.check();
  }

  stepWall(ms: number): void {
    this.stage.clock.stepWall(ms);
    this.#isWallSteady = false;
  }

  /** What can be compared of two entries: their times only as long as the wall clock ran steadily. */
  inOrder({ status, code, devices, text, since, lastSeen }: ModelEntry): object {
    const times = this.#isWallSteady ? { since, lastSeen } : {};
    return { status, code, devices, text, ...times };
  }

  /** Holds everything that can be seen of the core to the model. */
  check(): void {
    for (const user of users) this.#checkUser(user);
    for (const { real, model } of this.#pairs) same(real.phase, model.phase, 'phase');
    const counts: Record<string, number> = { 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 };
    for (const { real, model } of this.#pairs) if (model.phase !== 'ended') counts[real.adapter]!++;
    same(this.stage.presence.sessionCounts, counts, 'session counts');
  }

  /** Everybody leaves, is stored and released: only watched users may be left in memory. */
  end(): void {
    for (let at = 0; at < this.#pairs.length; at++) this.apply({ kind: 'leave', at });
    this.stage.evict();
    const idle = [...this.stage.users.held()].filter(({ audience }) => audience?.isEmpty !== false);
    same(
      idle.map(({ id }) => id),
      [],
      'held for nobody',
    );
    this.check();
  }

  #begin(claim: ModelClaim, adapter: (typeof adapters)[number]): void {
    const found = adapter === 'http' ? this.stage.findSession(claim.user, claim.device, adapter) : undefined;
    const wanted = this.#pairs.find(
      ({ real, model: s }) =>
        adapter === 'http' &&
        real.adapter === adapter &&
        s.phase === 'live' &&
        s.user === claim.user &&
        s.device === claim.device,
    );
    if (found !== wanted?.real) throw new Error('find: not the live session of that user, device and adapter');
    if (wanted !== undefined) {
      this.#say(wanted, claim);
      return;
    }
    const before = this.stage.changes.length;
    const real = this.stage.begin(claim.user, { ...claim, adapter });
    const { session, deed } = this.model.begin(claim);
    this.#pairs.push({ real, model: session });
    this.#agree(this.stage.changes[before], deed);
  }

  #say({ real, model }: Pair, said: Partial<ModelClaim>): void {
    const { device, ...rest } = said;
    // Over HTTP the device is part of who the session is.
    const applied = real.adapter === 'http' || device === undefined ? rest : said;
    this.#agree(this.stage.say(real, applied), this.model.say(model, applied));
  }

  #agree(
    change: { readonly isShown: boolean } | undefined,
    deed: { readonly shown: boolean; readonly true: boolean },
  ): void {
    same([change !== undefined, change?.isShown ?? false], [deed.true, deed.shown], 'changed and shown');
  }

  #with(at: number, which: 'live' | 'any', act: (pair: Pair) => void): void {
    const pairs = which === 'any' ? this.#pairs : this.#pairs.filter(({ model }) => model.phase === 'live');
    if (pairs.length > 0) act(pairs[at % pairs.length]!);
  }

  /** Time passes; what ran out must come out: none early, none later than a tick, in bites within the budget. */
  #pass(ms: number, budget: number): void {
    const { stage, model } = this;
    const now = (model.now += ms);
    stage.clock.pass(ms);
    for (let isMoreDue = true; isMoreDue;) {
      const { changes, lapsed, isMoreDue: more } = stage.presence.expire(stage.clock.now(), budget);
      isMoreDue = more;
      const ended = this.#pairs.filter(({ real, model: s }) => real.phase === 'ended' && s.phase !== 'ended');
      for (const { model: s } of ended) if (model.endsAt(s) > now) throw new Error('ran out early');
      // What ran out of one user ends together, so that none of it flashes up between two bites.
      if (new Set(ended.map(({ model: s }) => s.user)).size > budget) throw new Error('more than the budget');
      const owed = ended.filter(({ model: s }) => s.phase === 'live').map(({ real }) => real);
      if (new Set(lapsed).size !== lapsed.length || !same2(lapsed, owed)) throw new Error('not the lapsed ones');
      const shown = model.runOut(ended.map(({ model: s }) => s));
      const reported = changes.filter(({ isShown }) => isShown).map(({ user }) => user.id);
      same([...reported].sort(), [...shown].sort(), 'changes of a look');
      for (const change of changes) stage.note(change);
    }
    for (const s of model.sessions) if (model.endsAt(s) + TICK_MS <= now) throw new Error('ran out late');
  }

  #checkUser(user: string): void {
    const { stage, model } = this;
    const entry = stage.entry(user);
    const wanted = model.entryOf(user);
    const { v: _v, user: _user, text: shownText = '', ...shown } = entry;
    same(this.inOrder({ ...shown, text: shownText }), this.inOrder(wanted), `entry of ${user}`);
    const { shownDevices, ...fold } = stage.users.peek(user).fold;
    same(fold, model.foldOf(user), `fold of ${user}`);
    same(shownDevices, fold.devices, `labels of ${user} that an entry has room for`);
    same(stage.entryFor(user, admin), entry, `JSON of ${user}`);
    const before = this.#entriesBefore.get(user)!;
    const isEqual = JSON.stringify({ ...before, v: 0 }) === JSON.stringify({ ...entry, v: 0 });
    if (entry.v < before.v) throw new Error(`version of ${user} went back`);
    if (!isEqual && entry.v === before.v) throw new Error(`${user}: two entries with version ${entry.v}`);
    if (this.#isWallSteady && entry.v !== before.v && entry.v < model.now)
      throw new Error(`version of ${user} is below the clock`);
    if ((entry.v === 0) !== (entry.since === null)) throw new Error(`${user}: version 0 is for a user never seen`);
    this.#entriesBefore.set(user, entry);
  }
}

function same2(a: readonly Session[], b: readonly Session[]): boolean {
  return a.length === b.length && a.every((session) => b.includes(session));
}
