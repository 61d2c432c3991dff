/**
 * Watchers that read, stop reading and read again. They send heartbeats while they do not read, as a frozen tab's
 * worker would, so that only their reading is slow. A watcher that was cut off reconnects when it reads again. Runs in
 * a separate process.
 */
import { Histogram, type Counts } from '../lib/histogram.ts';
import { inParallel, monotonicMs } from '../lib/pacing.ts';
import { serveRole } from '../lib/roles.ts';
import { readHubMessage, type Entry } from '../lib/hub-message.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient } from '../lib/ws-client.ts';

export interface ReadersTask {
  readonly port: number;
  readonly count: number;
  /** Each watches all of them. */
  readonly users: readonly string[];
}

export interface Reading {
  readonly delays: Counts;
  readonly entries: number;
  /** All snapshots, and those of them that came unasked: the hub had dropped changes. */
  readonly snapshots: number;
  readonly resyncs: number;
  /** Connections that the hub ended, by close code. */
  readonly cut: Readonly<Record<string, number>>;
}

const OPEN_AT_ONCE = 32;
const BEAT_MS = 5000;
const USERS_A_WATCH = 1000;
const beat = textFrame({ type: 'heartbeat' });
const delays = new Histogram();
let readers: Reader[] = [];
let entries = 0;
let snapshots = 0;
let resyncs = 0;
let cut: Record<string, number> = {};

class Reader {
  readonly #port: number;
  readonly #frames: readonly Buffer[];
  readonly #known = new Map<string, Entry>();
  #client: WsClient | undefined;
  #snapshots = 0;
  #asked = 0;
  #isCut = false;
  #onWatching: () => void = () => undefined;

  constructor(port: number, users: readonly string[]) {
    this.#port = port;
    const watches = Array.from({ length: Math.ceil(users.length / USERS_A_WATCH) }, (_, part) => ({
      type: 'watch',
      users: users.slice(part * USERS_A_WATCH, (part + 1) * USERS_A_WATCH),
    }));
    this.#frames = [{ type: 'hello', observe: true }, ...watches].map(textFrame);
  }

  open(): Promise<void> {
    this.#snapshots = 0;
    this.#asked = this.#frames.length - 1;
    this.#isCut = false;
    return new Promise((resolve) => {
      this.#onWatching = resolve;
      this.#client = new WsClient({
        port: this.#port,
        firstFrames: this.#frames,
        onText: (text) => this.#receive(text),
        onEnd: (code) => {
          cut[String(code)] = (cut[String(code)] ?? 0) + 1;
          this.#isCut = true;
        },
      });
    });
  }

  beat(): void {
    this.#client?.send(beat);
  }

  /** Fills the kernel's buffer with snapshots that it requests, so that the hub is affected from the start. */
  pause(snapshotsAsked: number): void {
    this.#client?.pause();
    const watch = this.#frames.at(-1);
    for (let no = 0; no < snapshotsAsked && watch !== undefined; no += 1) this.#client?.send(watch);
    this.#asked += snapshotsAsked;
  }

  resume(): void {
    this.#client?.resume();
  }

  async comeBackIfCut(): Promise<void> {
    if (this.#isCut) await this.open();
  }

  /** The number of users whose last received text is not the last one they sent. */
  wrong(words: ReadonlyMap<string, string>): number {
    let count = 0;
    for (const [user, word] of words) if (this.#known.get(user)?.text !== word) count += 1;
    return count;
  }

  leave(): void {
    this.#client?.end('fin');
  }

  #receive(text: string): void {
    const received = readHubMessage(text);
    if (received.type !== 'presence' && received.type !== 'snapshot') return;
    const nowMs = monotonicMs();
    for (const entry of received.entries ?? []) {
      this.#known.set(entry.user, entry);
      if (received.type === 'snapshot' || entry.text === undefined) continue;
      entries += 1;
      delays.add(nowMs - Number.parseFloat(entry.text));
    }
    if (received.type !== 'snapshot') return;
    this.#snapshots += 1;
    snapshots += 1;
    if (this.#snapshots === this.#frames.length - 1) this.#onWatching();
    else if (this.#snapshots > this.#asked) resyncs += 1;
  }
}

const commands = {
  open: async ({ port, count, users }: ReadersTask): Promise<void> => {
    readers = Array.from({ length: count }, () => new Reader(port, users));
    setInterval(() => {
      for (const reader of readers) reader.beat();
    }, BEAT_MS);
    await inParallel(readers, OPEN_AT_ONCE, (reader) => reader.open());
  },
  pause: (snapshotsAsked: number): void => {
    for (const reader of readers) reader.pause(snapshotsAsked);
  },
  resume: (): void => {
    for (const reader of readers) reader.resume();
  },
  /** Returns what was read so far, and resets the figures. */
  figures: (): Reading => {
    const figures = { delays: delays.counts, entries, snapshots, resyncs, cut };
    delays.clear();
    entries = 0;
    snapshots = 0;
    resyncs = 0;
    cut = {};
    return figures;
  },
  /** How many of their last words are wrong, all readers together. */
  wrong: async (words: ReadonlyMap<string, string>): Promise<number> => {
    for (const reader of readers) await reader.comeBackIfCut();
    return readers.reduce((sum, reader) => sum + reader.wrong(words), 0);
  },
  leave: (): void => {
    for (const reader of readers) reader.leave();
    readers = [];
  },
};

export type ReadersCommands = typeof commands;

serveRole(commands);
