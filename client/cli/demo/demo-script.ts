/**
 * The script of the demo: its users, their friendships and what each does next. Pure: the same seed gives the same
 * users and acts. Opens no connection and uses durations only.
 */
import type { SessionStatus } from '../../../shared/status.ts';
import { between, pick, seededRandom, type Random } from './random.ts';

export interface Person {
  readonly user: string;
  readonly adapter: 'tcp-xml' | 'ws-json';
  readonly device: string;
  /** When the user first connects. Small for users who are present at the start. */
  readonly firstComesAfterMs: number;
  readonly random: Random;
}

export interface Says {
  readonly status: Exclude<SessionStatus, 'invisible'>;
  readonly text: string;
}

export type Act =
  | { readonly kind: 'come'; readonly says: Says }
  | { readonly kind: 'leave' }
  | { readonly kind: 'status'; readonly status: Says['status'] }
  | { readonly kind: 'text'; readonly text: string }
  /** An unclean end and a return within the hub's grace, which nobody should see. */
  | { readonly kind: 'reload'; readonly backAfterMs: number }
  /** An unclean end and a return long after the grace. */
  | { readonly kind: 'lose'; readonly backAfterMs: number };

interface NextAct {
  readonly afterMs: number;
  readonly act: Act;
}

export interface Scenario {
  readonly people: readonly Person[];
  /** Mutual friendships, each pair once. */
  readonly friendships: readonly (readonly [user: string, friend: string])[];
}

const FRIENDS_EACH = 4;
const SHARE_AT_START = 0.7;

export function createScenario(seed: number, count: number): Scenario {
  const random = seededRandom(seed);
  const people = Array.from({ length: count }, (_, i) => createPerson(i, seed, random));
  return { people, friendships: befriend(people, random) };
}

/** Returns the next act of a user. Depends only on whether the user is present and on its own random numbers. */
export function nextAct({ adapter, random }: Pick<Person, 'adapter' | 'random'>, isHere: boolean): NextAct {
  if (!isHere) return { afterMs: between(random, 4_000, 30_000), act: { kind: 'come', says: pickSays(random) } };
  const afterMs = between(random, 4_000, 32_000);
  const chance = random();
  // The legacy client has no text, so it sets another status instead.
  if (chance < 0.3 && adapter === 'ws-json') return { afterMs, act: { kind: 'text', text: pick(random, texts) } };
  if (chance < 0.62) return { afterMs, act: { kind: 'status', status: pick(random, statuses) } };
  if (chance < 0.77) return { afterMs, act: { kind: 'reload', backAfterMs: between(random, 100, 900) } };
  if (chance < 0.85) return { afterMs, act: { kind: 'lose', backAfterMs: between(random, 4_000, 12_000) } };
  return { afterMs, act: { kind: 'leave' } };
}

/** Returns the line that the ticker shows. */
export function describeAct(user: string, act: Act): string {
  switch (act.kind) {
    case 'come':
      return `${user} connects${act.says.status === 'online' ? '' : `, ${act.says.status}`}`;
    case 'leave':
      return `${user} says goodbye`;
    case 'status':
      return `${user} is ${act.status}`;
    case 'text':
      return act.text === '' ? `${user} clears its text` : `${user}: ${act.text}`;
    case 'reload':
      return `${user} reloads (back in ${act.backAfterMs} ms: nobody should notice)`;
    case 'lose':
      return `${user} loses its connection for ${Math.round(act.backAfterMs / 1000)} s`;
    default:
      return act satisfies never;
  }
}

function createPerson(index: number, seed: number, random: Random): Person {
  const adapter = index % 2 === 0 ? 'tcp-xml' : 'ws-json';
  const name = names[index % names.length] ?? names[0];
  const comesAtStart = random() < SHARE_AT_START;
  return {
    user: `${name}.${index + 1}`,
    adapter,
    device: adapter === 'tcp-xml' ? 'legacy' : pick(random, ['web', 'web', 'phone', 'tablet']),
    firstComesAfterMs: comesAtStart ? between(random, 0, 2_500) : between(random, 2_500, 25_000),
    // Each user has its own generator, so that its acts do not depend on the timing of others.
    random: seededRandom(seed * 1_000_003 + index),
  };
}

/** Makes friends of neighbors in a ring and of random users: everyone has some, and nobody has all. */
function befriend(people: readonly Person[], random: Random): readonly (readonly [string, string])[] {
  const pairs = new Map<string, readonly [string, string]>();
  people.forEach((person, index) => {
    const others = [
      index + 1,
      ...Array.from({ length: FRIENDS_EACH / 2 - 1 }, () => between(random, 0, people.length - 1)),
    ];
    for (const other of others) {
      const friend = people[other % people.length];
      if (friend === undefined || friend.user === person.user) continue;
      const pair = [person.user, friend.user].sort() as [string, string];
      pairs.set(pair.join(' '), pair);
    }
  });
  return [...pairs.values()];
}

function pickSays(random: Random): Says {
  return { status: pick(random, statuses), text: random() < 0.5 ? '' : pick(random, texts) };
}

const statuses: readonly [Says['status'], ...Says['status'][]] = ['online', 'online', 'online', 'away', 'busy'];

const texts: readonly [string, ...string[]] = [
  '',
  'in a meeting',
  'back at three',
  'lunch',
  'on the train',
  'writing tests',
  'coffee, then code',
  'reading the logs',
  'on call this week',
  'out for a run',
  'listening to Bach',
  'just a minute',
  'on the phone',
  'working from home',
  '吃饭去了',
  'bin gleich zurück',
  '🌱 in the garden',
  'shipping it',
];

const names: readonly [string, ...string[]] = [
  ...(['ada', 'alan', 'amir', 'ana', 'anton', 'aya', 'ben', 'bo', 'carla', 'chen', 'dana', 'david'] as const),
  ...(['edgar', 'elif', 'emma', 'eva', 'farid', 'fumi', 'grace', 'hana', 'hugo', 'ida', 'ines', 'ivan'] as const),
  ...(['jin', 'joan', 'jonas', 'kai', 'kofi', 'lea', 'lin', 'luca', 'maja', 'marie', 'mei', 'milan'] as const),
  ...(['nadia', 'nils', 'noor', 'olga', 'omar', 'paul', 'priya', 'rosa', 'sam', 'tara', 'tim', 'yuki'] as const),
];
