/**
 * One simulated user of the demo: follows its script on a real connection, WebSocket or TCP + XML, like any client. The
 * script decides what to do; this file decides how.
 */
import { defaultCodes } from '../../../shared/status.ts';
import type { HubAccess } from '../hub/access.ts';
import { createHubClient, leaveHub } from '../hub/hub-client.ts';
import { TcpClient } from '../hub/tcp-client.ts';
import { nextAct, type Act, type Person, type Says } from './demo-script.ts';

const TCP_EVERY_MS = 1_000;

interface DemoPersonOptions {
  readonly person: Person;
  readonly access: HubAccess;
  readonly onAct: (user: string, act: Act) => void;
}

/** A connection of one user. */
interface Connection {
  say(says: Partial<Says>): void;
  leave(): Promise<void>;
  /** Ends without a goodbye. */
  end(): void;
}

export class DemoPerson {
  readonly #options: DemoPersonOptions;
  #says: Says = { status: 'online', text: '' };
  #connection: Connection | undefined;
  #next: NodeJS.Timeout | undefined;
  #back: NodeJS.Timeout | undefined;
  #goodbye: Promise<void> | undefined;

  constructor(options: DemoPersonOptions) {
    this.#options = options;
  }

  get isHere(): boolean {
    return this.#connection !== undefined;
  }

  start(): void {
    const { act } = nextAct(this.#options.person, false);
    this.#schedule(this.#options.person.firstComesAfterMs, act);
  }

  /** Ends with a clean goodbye and does not return. */
  async leave(): Promise<void> {
    clearTimeout(this.#next);
    clearTimeout(this.#back);
    await Promise.all([this.#goodbye, this.#connection?.leave()]);
  }

  #schedule(afterMs: number, act: Act): void {
    this.#next = setTimeout(() => {
      this.#perform(act);
      this.#options.onAct(this.#options.person.user, act);
      const next = nextAct(this.#options.person, this.isHere);
      // A user that lost its connection does nothing until it is back.
      this.#schedule(next.afterMs + ('backAfterMs' in act ? act.backAfterMs : 0), next.act);
    }, afterMs);
  }

  #perform(act: Act): void {
    switch (act.kind) {
      case 'come':
        this.#says = act.says;
        this.#connection = this.#connect();
        return;
      case 'leave':
        this.#goodbye = this.#connection?.leave();
        this.#connection = undefined;
        return;
      case 'status':
        return this.#say({ status: act.status });
      case 'text':
        return this.#say({ text: act.text });
      case 'reload':
      case 'lose':
        this.#connection?.end();
        this.#back = setTimeout(() => (this.#connection = this.#connect()), act.backAfterMs);
        return;
      default:
        return act satisfies never;
    }
  }

  #say(says: Partial<Says>): void {
    this.#says = { ...this.#says, ...says };
    this.#connection?.say(says);
  }

  #connect(): Connection {
    const { person, access } = this.#options;
    const { user, device } = person;
    const common = { access, user, device, isPatient: true, onFailed: () => undefined };
    if (person.adapter === 'ws-json') {
      const client = createHubClient({ ...common, ...this.#says });
      client.connect();
      return { say: (says) => client.set(says), leave: () => leaveHub(client), end: () => client.close() };
    }
    const client = new TcpClient({ ...common, everyMs: TCP_EVERY_MS, state: () => defaultCodes[this.#says.status] });
    client.connect();
    return { say: () => client.beat(), leave: () => client.leave(), end: () => void client.end() };
  }
}
