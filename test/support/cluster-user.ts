/**
 * A user of a cluster with one client, over WebSocket or TCP: it changes, moves between hubs, reloads, leaves, and finds
 * another hub when its own one goes. It knows how all watchers must see it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterHub } from './cluster-stage.ts';
import { LegacyClient } from './legacy-client.ts';
import { WsClient } from './ws-client.ts';

export type ShownStatus = 'online' | 'away' | 'busy';
export type Kind = 'ws' | 'tcp';

const codeOf = { offline: -1, online: 1, away: 2, busy: 3 } as const;
const RETRY_MS = 50;
/** How long the old connection stays beside the new one of a move. */
const OVERLAP_MS = 200;

/** A connection that the hub has accepted. */
interface Connection {
  readonly hub: ClusterHub;
  readonly closed: Promise<unknown>;
  /** Resolves after the time that the hub gives, when it asks to reconnect elsewhere. */
  readonly asked: Promise<void>;
  send(): void;
  bye(): void;
  cut(): void;
}

export class ClusterUser {
  readonly user: string;
  readonly kind: Kind;
  status: ShownStatus = 'online';
  text = '';
  /** Whether it means to be there. */
  isHere = false;
  /** Whether a reload or a search for another hub is under way. */
  isBusy = false;
  /** Whether the old connection of a move may still be there. */
  isMoving = false;
  readonly #choose: (except?: ClusterHub) => ClusterHub;
  #connection: Connection | undefined;

  /** `choose`: a hub that a client would try now. */
  constructor(user: string, kind: Kind, choose: (except?: ClusterHub) => ClusterHub) {
    this.user = user;
    this.kind = kind;
    this.#choose = choose;
  }

  get hub(): ClusterHub | undefined {
    return this.#connection?.hub;
  }

  /** What each entry of it must contain, once nothing is under way. */
  get shown(): { readonly status: string; readonly code: number; readonly devices: readonly string[] } {
    if (!this.isHere) return { status: 'offline', code: codeOf.offline, devices: [] };
    const devices = [this.kind === 'ws' ? 'web' : 'legacy'];
    const text = this.text === '' ? {} : { text: this.text };
    return { status: this.status, code: codeOf[this.status], devices, ...text };
  }

  async come(hub?: ClusterHub): Promise<void> {
    this.isHere = true;
    await this.#connect(hub);
  }

  beat(): void {
    this.#connection?.send();
  }

  /** Over TCP the text is not sent. */
  set(status: ShownStatus, text: string): void {
    this.status = status;
    if (this.kind === 'ws') this.text = text;
    this.#connection?.send();
  }

  /** To another hub: first the new connection, then the end of the old one. */
  async move(): Promise<void> {
    this.isMoving = true;
    const old = this.#connection;
    await this.#connect(this.#choose(old?.hub));
    const moved = this.#connection;
    let isCut = false as boolean;
    void moved?.closed.then(() => (isCut = true));
    await delay(OVERLAP_MS);
    // A goodbye also ends the new session while that is in its grace (L5). Over TCP nothing says that it has begun.
    if (this.kind === 'ws' && this.#connection === moved && !isCut) old?.bye();
    else old?.cut();
    this.isMoving = false;
  }

  /** The connection breaks, and then there is another one. */
  async reload(afterMs: number): Promise<void> {
    this.isBusy = true;
    const old = this.#connection;
    this.#connection = undefined;
    old?.cut();
    await delay(afterMs);
    await this.#connect();
  }

  leave(): void {
    this.isHere = false;
    this.#connection?.bye();
    this.#connection = undefined;
    this.text = '';
  }

  /** It is gone with its hub, or was never there: no client of it is left. */
  vanish(): void {
    this.isHere = false;
    this.#connection?.cut();
    this.#connection = undefined;
  }

  async #connect(hub?: ClusterHub): Promise<void> {
    this.isBusy = true;
    for (let chosen = hub ?? this.#choose(); this.isHere; chosen = this.#choose()) {
      if (await this.#connectTo(chosen)) break;
      await delay(RETRY_MS);
    }
    this.isBusy = false;
  }

  /** @returns whether the hub took the connection. */
  async #connectTo(hub: ClusterHub): Promise<boolean> {
    const connection = await this.#open(hub).catch(() => undefined);
    if (connection === undefined) return false;
    if (this.isHere) {
      this.#connection = connection;
      // What was set while it was under way.
      connection.send();
      void this.#follow(connection);
    } else connection.cut(); // it has left meanwhile
    return true;
  }

  /** Finds another hub if this connection ends, or if the hub asks for it. */
  async #follow(connection: Connection): Promise<void> {
    await Promise.race([connection.closed, connection.asked]);
    if (this.#connection !== connection || !this.isHere || this.isBusy) return;
    await this.#connect(this.#choose(connection.hub));
    connection.cut();
  }

  #open(hub: ClusterHub): Promise<Connection> {
    return this.kind === 'ws' ? this.#overWebSocket(hub) : this.#overTcp(hub);
  }

  async #overWebSocket(hub: ClusterHub): Promise<Connection> {
    const { user, status, text } = this;
    const client = await WsClient.open(hub.ws);
    const asked = new Promise<void>((resolve) => {
      client.onMessage((message) => {
        if (message.type === 'reconnect') setTimeout(resolve, message.afterMs);
      });
    });
    client.send({ type: 'hello', user, status, text });
    await client.next('welcome');
    return {
      hub,
      closed: client.closed,
      asked,
      send: () => client.send({ type: 'heartbeat', status: this.status, text: this.text }),
      bye: () => client.send({ type: 'bye' }),
      cut: () => client.cut(),
    };
  }

  async #overTcp(hub: ClusterHub): Promise<Connection> {
    const client = await LegacyClient.open(hub.tcpPort);
    return {
      hub,
      closed: client.closed,
      asked: new Promise<void>(() => undefined),
      send: () => client.beat(this.user, codeOf[this.status]),
      bye: () => {
        client.beat(this.user, codeOf.offline);
        client.end();
      },
      cut: () => client.reset(),
    };
  }
}
