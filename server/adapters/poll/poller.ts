/**
 * Polling (PROTOCOL.md section 6): polls each target of the file HUB_POLL at its interval, cuts off polls that take too
 * long, and follows changes of the file. Responsible for the schedule only: probe.ts makes the request, and polled.ts
 * applies the result. Ends no session when it stops, because the users do not leave with the hub.
 */
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { Logger } from '../../lib/log/log.ts';
import { StartError } from '../../lib/start-error.ts';
import { DONE, TimingWheel } from '../../lib/time/timing-wheel.ts';
import { readAnswer, type AnswerReaders } from './answer.ts';
import { Polled, type PollOutage } from './polled.ts';
import { Prober, type Outcome } from './probe.ts';
import { WatchedFile } from '../../lib/watched-file.ts';
import type { Result } from '../../../shared/result.ts';
import { isSameTarget, parseTargets, targetKey, type Target } from './targets.ts';

/** Which targets this hub polls, of those that other hubs know of too. */
export interface TargetShares {
  /** Names all targets of the file. */
  offer(keys: Iterable<string>): void;
  isMine(key: string): boolean;
  /** Whether another hub has the target in its file. */
  isOfferedElsewhere(key: string): boolean;
  /** Called when targets may have another owner. */
  readonly onChange: (() => void)[];
}

/** A hub without others polls all its targets. */
const allMine: TargetShares = {
  offer: () => undefined,
  isMine: () => true,
  isOfferedElsewhere: () => false,
  onChange: [],
};

export interface PollerOptions extends AnswerReaders {
  /** The path in HUB_POLL. */
  readonly file: string;
  readonly intake: Intake;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'error' | 'warn' | 'info'>;
  readonly outage: PollOutage;
  readonly shares?: TargetShares;
  readonly prober?: Pick<Prober, 'probe'>;
  readonly checkFileEveryMs?: number;
  /** A number from 0 up to 1, like Math.random. */
  readonly random?: () => number;
}

/** Maximum polls under way at once. Others wait in a queue. */
export const MAX_POLLS_AT_ONCE = 64;

const LOOK_EVERY_MS = 25;
const WHEEL_SLOTS = 4096;
/** New polls of one tick: about 2 ms. Each poll that ends outside of a tick starts one more. */
const STARTS_PER_LOOK = 16;
/** If the loop did not run for this long, it received no answers, which is not the fault of any target. */
const STALL_MS = 250;
/** New targets are polled within this time, spread over it. */
const FIRST_POLL_WITHIN_MS = 1000;
const JITTER = 0.1;
const CHECK_FILE_EVERY_MS = 1000;

export class Poller {
  readonly #options: PollerOptions;
  readonly #file: WatchedFile<readonly Target[]>;
  readonly #prober: Pick<Prober, 'probe'>;
  readonly #shares: TargetShares;
  readonly #random: () => number;
  readonly #polled = new Map<string, Polled>();
  /** Targets of `#polled` that this hub polls now. Another one polls the rest. */
  readonly #mine = new Set<Polled>();
  /** Targets that left the file while another hub still had them. */
  readonly #leftToOthers = new Map<string, Polled>();
  readonly #inLine = new Set<Polled>();
  readonly #onTheirWay = new Set<Polled>();
  readonly #wheel: TimingWheel<Polled>;
  #longestWaitMs = 0;
  #lookedAt = 0;
  /** Targets whose last poll could not be made. */
  readonly #unable = new Set<Polled>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#file = new WatchedFile({
      setting: 'HUB_POLL',
      path: options.file,
      form: 'a JSON file of targets',
      parse: parseTargets,
    });
    this.#prober = options.prober ?? new Prober();
    this.#shares = options.shares ?? allMine;
    this.#random = options.random ?? Math.random;
    this.#wheel = new TimingWheel(LOOK_EVERY_MS, WHEEL_SLOTS, this.#now());
  }

  /** @throws StartError if the file cannot be read or is not valid. */
  async start(): Promise<void> {
    const read = await this.#file.read();
    if (!read.ok) throw new StartError(read.problem);
    if (this.#isStopped) return;
    this.#follow(read.value);
    this.#shares.onChange.push(() => {
      if (!this.#isStopped) this.#share();
    });
    this.#lookedAt = this.#now();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#file.watch(this.#options.checkFileEveryMs ?? CHECK_FILE_EVERY_MS, (again) => this.#reload(again));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    for (const polled of this.#polled.values()) this.#takeOff(polled);
    await this.#file.stop();
  }

  #now(): number {
    return this.#options.clock.now().monoMs;
  }

  #reload(read: Result<readonly Target[]>): void {
    const { log } = this.#options;
    if (read.ok) log.info(this.#follow(read.value), 'HUB_POLL was reloaded');
    else log.error(`${read.problem}; until then the previous targets are polled`);
  }

  /** Replaces the polled targets. Unchanged ones go on without interruption. */
  #follow(targets: readonly Target[]): Readonly<Record<string, number>> {
    const counts = { targets: targets.length, added: 0, changed: 0, removed: 0 };
    // The time of all polls that may precede a target in the queue, if each takes its full timeout.
    this.#longestWaitMs = targets.reduce((sum, { timeoutMs }) => sum + timeoutMs, 0) / MAX_POLLS_AT_ONCE;
    const keys = new Set(targets.map(targetKey));
    for (const [key, polled] of this.#polled) {
      if (keys.has(key)) continue;
      counts.removed++;
      this.#polled.delete(key);
      this.#cease(polled);
      this.#leftToOthers.set(key, polled);
    }
    for (const target of targets) {
      const key = targetKey(target);
      let polled = this.#polled.get(key);
      if (polled !== undefined && isSameTarget(polled.target, target)) continue;
      if (polled === undefined) {
        counts.added++;
        polled = this.#leftToOthers.get(key) ?? new Polled(target, this.#options);
        this.#leftToOthers.delete(key);
        this.#polled.set(key, polled);
      } else {
        counts.changed++;
        this.#cease(polled);
      }
      polled.target = target;
    }
    this.#shares.offer(keys);
    this.#share();
    return counts;
  }

  /** Begins to poll what is this hub's share now, and ceases to poll what is not. */
  #share(): void {
    for (const [key, polled] of this.#polled) {
      const isMine = this.#shares.isMine(key);
      if (isMine && !this.#mine.has(polled)) this.#begin(polled);
      else if (!isMine && this.#mine.has(polled)) this.#cease(polled);
    }
    for (const [key, polled] of this.#leftToOthers) {
      if (this.#shares.isOfferedElsewhere(key)) continue;
      this.#leftToOthers.delete(key);
      polled.leave();
    }
  }

  #begin(polled: Polled): void {
    this.#mine.add(polled);
    const withinMs = Math.min(polled.target.everyMs, FIRST_POLL_WITHIN_MS);
    this.#wheel.schedule(polled, this.#now() + this.#random() * withinMs);
  }

  /** Polls the target no more. Its session stays for the rest of its lease: another hub may be about to take it over. */
  #cease(polled: Polled): void {
    this.#takeOff(polled);
    this.#mine.delete(polled);
    this.#unable.delete(polled);
    polled.ceased();
  }

  /** Removes the target from the schedule, in whatever state it is. */
  #takeOff(polled: Polled): void {
    this.#wheel.cancel(polled);
    this.#inLine.delete(polled);
    this.#onTheirWay.delete(polled);
    polled.cutOff?.();
    polled.cutOff = undefined;
  }

  #look(): void {
    const now = this.#now();
    const gapMs = now - this.#lookedAt;
    this.#lookedAt = now;
    for (const polled of this.#onTheirWay) {
      if (gapMs >= STALL_MS) polled.deadlineAt += gapMs;
      if (now >= polled.deadlineAt) {
        const waitedFor = polled.cutOff?.() ?? 'the answer';
        const reason = `no answer in ${polled.target.timeoutMs} ms`;
        this.#ended(
          polled,
          waitedFor === 'the name'
            ? { kind: 'unable', reason: `${reason} when its name was resolved` }
            : { kind: 'miss', reason },
        );
      }
    }
    this.#wheel.advance(now, Infinity, (polled) => {
      this.#inLine.add(polled);
      return DONE;
    });
    this.#startPolls(STARTS_PER_LOOK);
  }

  #startPolls(atMost: number): void {
    for (const polled of this.#inLine) {
      if (atMost-- <= 0 || this.#onTheirWay.size >= MAX_POLLS_AT_ONCE) return;
      this.#inLine.delete(polled);
      this.#onTheirWay.add(polled);
      polled.startedAt = this.#now();
      polled.deadlineAt = polled.startedAt + polled.target.timeoutMs;
      polled.cutOff = this.#prober.probe(polled.target.endpoint, (outcome) => {
        this.#ended(polled, outcome);
        this.#startPolls(1);
      });
    }
  }

  #ended(polled: Polled, outcome: Outcome): void {
    const { target } = polled;
    this.#onTheirWay.delete(polled);
    polled.cutOff = undefined;
    const periodMs = target.everyMs * (1 - JITTER + 2 * JITTER * this.#random());
    this.#wheel.schedule(polled, polled.startedAt + periodMs);
    this.#noteUnable(polled, outcome);
    switch (outcome.kind) {
      case 'alive':
        polled.apply(readAnswer(outcome.body, this.#options), this.#leaseMsOf(target));
        return;
      case 'miss':
        if (polled.missed()) this.#noteDown(target, outcome.reason);
        return;
      case 'unable':
        polled.unable(this.#leaseMsOf(target));
        return;
      default:
        outcome satisfies never;
    }
  }

  /**
   * Longer than all misses that end the session can last. The poller decides, and the lease covers the case that it
   * does not.
   */
  #leaseMsOf({ everyMs, timeoutMs, failures }: Target): number {
    const roundMs = everyMs * (1 + JITTER) + timeoutMs + this.#longestWaitMs;
    return Math.ceil(roundMs * (failures + 1) + 1000);
  }

  #noteDown({ user, device, address, failures }: Target, reason: string): void {
    this.#options.log.info({ user, device, address, failures, reason }, 'a polled target is down');
  }

  /** Logs one line when the trouble begins and one when it is over for all targets, instead of one for each poll. */
  #noteUnable(polled: Polled, outcome: Outcome): void {
    const { log } = this.#options;
    const before = this.#unable.size;
    if (outcome.kind === 'unable') this.#unable.add(polled);
    else this.#unable.delete(polled);
    if (before === 0 && outcome.kind === 'unable') {
      const { user, device, address } = polled.target;
      log.warn(
        { user, device, address, reason: outcome.reason },
        'the hub cannot poll because of its own network or resolver: the users concerned stay as shown, marked stale',
      );
    } else if (before > 0 && this.#unable.size === 0) {
      log.info('the hub can poll all targets again');
    }
  }
}
