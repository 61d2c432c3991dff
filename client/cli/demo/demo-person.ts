/**
 * One simulated user of the demo: follows its script on a real connection, WebSocket or TCP + XML, like any client. The
 * script decides what to do; this file decides how.
 */
import { defaultCodes } from '../../../shared/status.ts';
import type { HubAccess } from '../hub/access.ts';
import { nextAct, type Act, type Person, type Says } from './demo-script.ts';
import { HubClient } from '../hub/hub-client.ts';
import { TcpClient } from '../hub/tcp-client.ts';

const TCP_EVERY_MS = 1_000;

interface DemoPersonOptions {
  readonly person: Person;
  readonly access: HubAccess;
  readonly onAct: (user: string, act: Act) => void;
}

export class DemoPerson {
  readonly #options: DemoPersonOptions;
  #says: Says = { status: 'online', text: '' };
  #client: HubClient | TcpClient | undefined;
  #next: NodeJS.Timeout | undefined;
  #goodbye: Promise<void> | undefined;

  constructor(options: DemoPersonOptions) {
    this.#options = options;
  }

  get isHere(): boolean {
    return this.#client !== undefined;
  }

  start(): void {
    const { act } = nextAct(this.#options.person, false);
    this.#schedule(this.#options.person.firstComesAfterMs, act);
  }

  /** Ends with a clean goodbye and does not return. */
  async leave(): Promise<void> {
    clearTimeout(this.#next);
    await Promise.all([this.#goodbye, this.#client?.leave()]);
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
        this.#client = this.#open();
        this.#client.connect();
        return;
      case 'leave':
        this.#goodbye = this.#client?.leave();
        this.#client = undefined;
        return;
      case 'status':
        this.#says = { ...this.#says, status: act.status };
        return this.#tell();
      case 'text':
        this.#says = { ...this.#says, text: act.text };
        return this.#tell();
      case 'reload':
      case 'lose':
        return this.#client?.cut(act.backAfterMs);
      default:
        return act satisfies never;
    }
  }

  #tell(): void {
    if (this.#client instanceof TcpClient) this.#client.beat();
    else this.#client?.send({ type: 'heartbeat', ...this.#says });
  }

  #open(): HubClient | TcpClient {
    const { person, access } = this.#options;
    const { user, device } = person;
    const common = { isPatient: true, onFailed: () => undefined };
    if (person.door === 'websocket') {
      return new HubClient({ ...common, access, hello: () => ({ type: 'hello', user, device, ...this.#says }) });
    }
    return new TcpClient({
      ...common,
      ...{ access, user, device },
      everyMs: TCP_EVERY_MS,
      state: () => defaultCodes[this.#says.status],
    });
  }
}
