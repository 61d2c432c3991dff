/**
 * The users of the churn: who comes, changes, moves, reloads, hides, blocks and goes, at a steady rate and by a seed.
 * Knows the state of the nodes as a client would find it out, and what each user must look like.
 */
import { ask } from '../hub-http.ts';
import { paceEvenly, sleep } from '../pacing.ts';
import type { Random } from '../random.ts';
import type { Client, Cut, Status } from './client.ts';
import { GONE_WITHIN_MS, type Node } from './nodes.ts';
import { Person } from './person.ts';

const statuses: readonly Status[] = ['online', 'away', 'busy', 'invisible'];
const BEAT_MS = { ws: 3000, tcp: 1500 } as const;
const TICK_MS = 50;
const LOOK_MS = 100;
/** Of the users on a node that is killed, who does not come back. */
const GHOSTS_ONE_IN = 6;
const BLOCKERS_ONE_IN = 5;
const STAY_ONE_IN = 3;
/** The least that a grace lasts, less what a busy machine takes. */
const MAY_BE_GONE_MS = 1400;
const BLOCK_TRY_MS = 500;
const BLOCK_WITHIN_MS = 15_000;
/** What was sent before the answer may still be on its way to a watcher in this process. */
const ON_ITS_WAY_MS = 100;

/** `viewer` is blocked, as the judge knows it: surely, surely not, or something between. */
export type Blocked = 'no' | 'yes' | 'unsure';

export interface CrowdOptions {
  readonly nodes: readonly Node[];
  readonly users: number;
  readonly deedsPerS: number;
  readonly random: Random;
  /** Whom some users block. */
  readonly viewer: string;
  readonly clock: () => string;
}

export class Crowd {
  readonly people: readonly Person[];
  readonly blocked = new Map<string, Blocked>();
  /** When the block became sure. */
  readonly blockedAtMs = new Map<string, number>();
  readonly deeds: Record<string, number> = {};
  isPaused = false;
  readonly #options: CrowdOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #paces: { stop(): void }[] = [];

  constructor(options: CrowdOptions) {
    this.#options = options;
    const { users, random, clock, nodes } = options;
    this.people = Array.from({ length: users }, (_, no) => {
      const kinds = no % 10 === 0 ? (['ws', 'tcp'] as const) : ([no % 2 === 0 ? 'ws' : 'tcp'] as const);
      const mayBlock = no % BLOCKERS_ONE_IN === 1;
      return new Person(`u${no}`, kinds, mayBlock, random, (except) => this.#choose(except), clock);
    });
    for (const node of nodes) node.onState(() => this.#nodeChanged(node));
  }

  start(): void {
    const { deedsPerS, random } = this.#options;
    for (const kind of ['ws', 'tcp'] as const) {
      const clients = this.people.flatMap((person) => person.clients.filter((client) => client.kind === kind));
      this.#paces.push(
        paceEvenly(
          () => clients.length,
          BEAT_MS[kind],
          (index) => clients[index]?.beat(),
        ),
      );
    }
    this.#timers.push(
      setInterval(() => {
        const now = performance.now();
        for (const person of this.people) person.look(now);
      }, LOOK_MS),
      setInterval(() => {
        if (this.isPaused) return;
        for (let left = (deedsPerS * TICK_MS) / 1000; left > 0 && random.next() < left; left -= 1) this.#deed();
      }, TICK_MS),
    );
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const pace of this.#paces) pace.stop();
  }

  get present(): number {
    return this.people.filter((person) => person.isPresent).length;
  }

  /** Just before a node is killed: some of its users die with it. @returns them. */
  kill(node: Node): Person[] {
    const ghosts = this.people.filter(
      (person) =>
        person.clients.length === 1 &&
        person.clients[0]?.node === node &&
        person.isFree &&
        this.#options.random.isOneIn(GHOSTS_ONE_IN),
    );
    for (const person of ghosts) {
      person.note(`${this.#options.clock()} dies with ${node.name}`);
      person.ghostSinceMs = performance.now();
      // Not before the node itself: a broken connection would be reported at once.
      setTimeout(() => {
        person.clients[0]?.leave('reset');
        person.changed(person.ghostSinceMs + GONE_WITHIN_MS);
      }, 0);
    }
    return ghosts;
  }

  /** Everybody comes, as fast as the nodes take them. */
  async fill(): Promise<void> {
    for (const person of this.people) {
      for (const client of person.clients) this.#come(person, client);
      await sleep(2);
    }
  }

  #choose(except?: Node): Node | undefined {
    const open = this.#options.nodes.filter(({ state }) => state === 'up');
    const others = open.filter((node) => node !== except);
    return others.length > 0 ? this.#options.random.pick(others) : open[0];
  }

  #nodeChanged(node: Node): void {
    const { random } = this.#options;
    for (const person of this.people) {
      for (const client of person.clients) {
        if (client.node !== node) continue;
        person.moving();
        // Some notice that nothing comes of it any more, and go elsewhere.
        if (node.state !== 'stopped' || random.isOneIn(STAY_ONE_IN)) continue;
        setTimeout(
          () => {
            if (client.node !== node || node.state !== 'stopped' || !client.isWanted) return;
            person.moving();
            client.reload('reset', 0, 100);
          },
          random.between(300, 3500),
        );
      }
    }
  }

  #deed(): void {
    const { random } = this.#options;
    const person = random.pick(this.people);
    if (!person.isFree) return this.#count('not free');
    const client = random.pick(person.clients);
    if (!client.isWanted) this.#come(person, client);
    else if (person.mayBlock && random.isOneIn(5)) void this.#block(person);
    else {
      const deed = random.pick(DEEDS);
      this.#count(deed);
      this.#act(person, client, deed);
    }
  }

  #act(person: Person, client: Client, deed: (typeof DEEDS)[number]): void {
    const { random, clock } = this.#options;
    person.note(`${clock()} ${client.kind}: ${deed}`);
    switch (deed) {
      case 'change':
        client.set(
          this.#status(),
          client.kind === 'ws' && random.isOneIn(3) ? `text ${random.below(1000)}` : client.text,
        );
        person.note(`${clock()} ${client.kind}: now ${client.status} ${client.text}`);
        person.changed();
        break;
      case 'move':
        person.moving();
        client.move();
        break;
      case 'reload':
        person.moving();
        client.reload(this.#cut(), random.between(0, 900), MAY_BE_GONE_MS);
        break;
      case 'bye':
        client.leave('bye');
        person.changed(performance.now() + 1000);
        break;
      case 'cut':
        client.leave(this.#cut());
        person.cut();
        break;
      default:
        deed satisfies never;
    }
  }

  #come(person: Person, client: Client): void {
    this.#count('come');
    person.ghostSinceMs = 0;
    client.come(this.#status(), '');
    person.note(`${this.#options.clock()} ${client.kind}: comes as ${client.status}`);
    person.changed();
  }

  /**
   * Blocks the viewer or lifts the block, on whichever node. If it does not say that it is done, it may do it at any time
   * later, so it is asked again.
   */
  async #block(person: Person): Promise<void> {
    const { user } = person;
    const before = this.blocked.get(user) ?? 'no';
    const node = this.#choose();
    if (before === 'unsure' || node === undefined) return;
    const method = before === 'no' ? 'PUT' : 'DELETE';
    this.#count(method === 'PUT' ? 'block' : 'unblock');
    this.blocked.set(user, 'unsure');
    const path = `/v1/users/${user}/blocks/${this.#options.viewer}`;
    for (let status = 0; status !== 204;) {
      if (node.state === 'up') {
        const asked = ask(node.place.port, method, path, undefined, BLOCK_WITHIN_MS);
        status = await asked.then(
          (reply) => reply.status,
          () => 0,
        );
        person.note(`${this.#options.clock()} ${method} block on ${node.name}: ${status}`);
      }
      if (status !== 204) await sleep(BLOCK_TRY_MS);
    }
    await sleep(ON_ITS_WAY_MS);
    this.blocked.set(user, method === 'PUT' ? 'yes' : 'no');
    this.blockedAtMs.set(user, performance.now());
  }

  #status(): Status {
    return this.#options.random.pick(statuses);
  }

  #cut(): Cut {
    return this.#options.random.isOneIn(2) ? 'reset' : 'fin';
  }

  #count(deed: string): void {
    this.deeds[deed] = (this.deeds[deed] ?? 0) + 1;
  }
}

const DEEDS = [
  ...Array<'change'>(50).fill('change'),
  ...Array<'move'>(18).fill('move'),
  ...Array<'reload'>(15).fill('reload'),
  ...Array<'bye'>(9).fill('bye'),
  ...Array<'cut'>(5).fill('cut'),
] as const;
