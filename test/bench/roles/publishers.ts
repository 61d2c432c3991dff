/**
 * Publishers: WebSocket users who change their text at an even rate. A text begins with the instant at which it was
 * sent, so that a watcher knows the delay. Runs in a separate process.
 */
import { inParallel, monotonicMs, paceEvenly, type Pace } from '../lib/pacing.ts';
import { serveRole } from '../lib/roles.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient } from '../lib/ws-client.ts';

export interface PublishersTask {
  readonly port: number;
  readonly users: readonly string[];
}

export interface Publishing {
  readonly changesPerS: number;
  /** Characters after the instant, so that an entry has the size of a real one. */
  readonly padding: number;
}

const OPEN_AT_ONCE = 64;
const BEAT_MS = 10_000;
const beat = textFrame({ type: 'heartbeat' });
const words = new Map<string, string>();
let people: { readonly user: string; readonly client: WsClient }[] = [];
let pace: Pace | undefined;
let lost = 0;

const commands = {
  open: async ({ port, users }: PublishersTask): Promise<void> => {
    await inParallel(users, OPEN_AT_ONCE, async (user) => {
      const client = await new Promise<WsClient>((resolve) => {
        const opened: WsClient = new WsClient({
          port,
          firstFrames: [textFrame({ type: 'hello', user })],
          onText: () => resolve(opened),
          onEnd: () => (lost += 1),
        });
      });
      people.push({ user, client });
    });
    // A lease must not hang on the rate of changes.
    paceEvenly(
      () => people.length,
      BEAT_MS,
      (index) => people[index]?.client.send(beat),
    );
  },
  publish: ({ changesPerS, padding }: Publishing): void => {
    const tail = ` ${'.'.repeat(padding)}`;
    pace = paceEvenly(
      () => people.length,
      (1000 * people.length) / changesPerS,
      (index) => {
        const person = people[index];
        if (person === undefined) return;
        const text = monotonicMs().toFixed(3) + tail;
        words.set(person.user, text);
        person.client.send(textFrame({ type: 'heartbeat', text }));
      },
    );
  },
  /** Stops, and answers with the last text of each. */
  rest: (): { readonly words: ReadonlyMap<string, string>; readonly lost: number; readonly worstLateMs: number } => {
    pace?.stop();
    return { words, lost, worstLateMs: pace?.worstLateMs ?? 0 };
  },
  leave: (): void => {
    for (const { client } of people) client.end('fin');
    people = [];
  },
};

export type PublishersCommands = typeof commands;

serveRole(commands);
