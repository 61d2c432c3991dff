/**
 * One client of a user in a cluster, over WebSocket or TCP: connects to a node, moves, changes its status, and finds
 * another node when its own one goes, as the SDK does. Tells its person what was confirmed and when.
 */
import type { Random } from '../random.ts';
import { TcpClient, xmlFrame } from '../tcp-client.ts';
import { textFrame } from '../ws-frames.ts';
import { WsClient } from '../ws-client.ts';
import type { Node } from './nodes.ts';

export type Status = 'online' | 'away' | 'busy' | 'invisible';
export type Kind = 'ws' | 'tcp';
export type Cut = 'reset' | 'fin';

/** A connection, welcomed or not. */
interface Line {
  readonly node: Node;
  readonly startedAtMs: number;
  /** Whether the last word about that was `stale`. */
  isStale: boolean;
  beat(): void;
  set(): void;
  /** `bye`: politely. */
  end(how: Cut | 'bye'): void;
}

export interface ClientHost {
  readonly random: Random;
  /** A node that a client would try now. */
  choose(except?: Node): Node | undefined;
  /** The session was welcomed, or a change of it confirmed; others must see it from this moment on. */
  confirmed(atMs: number): void;
  /** It was without a connection for longer than the hub may wait. */
  wasGone(): void;
  note(deed: string): void;
}

export const states: Readonly<Record<Status | 'offline', number>> = {
  online: 1,
  away: 2,
  busy: 3,
  invisible: 40,
  offline: -1,
};
/** TCP has no answer that waits for the other nodes (C5). */
const TCP_MARGIN_MS = 1000;
const OVERLAP_MS = 3000;
const STALE_WITHIN_MS = 50;
const WELCOME_WITHIN_MS = 8000;
const beatFrame = textFrame({ type: 'heartbeat' });

export class Client {
  readonly kind: Kind;
  readonly user: string;
  status: Status = 'online';
  text = '';
  /** Whether it means to be there. */
  isWanted = false;
  #current: Line | undefined;
  #next: Line | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** When its last connection ended, and how long it may be without one. */
  #goneSinceMs = 0;
  #mayBeGoneMs = 0;
  #setNo = 0;
  readonly #host: ClientHost;

  constructor(kind: Kind, user: string, host: ClientHost) {
    this.kind = kind;
    this.user = user;
    this.#host = host;
  }

  get device(): string {
    return this.kind === 'ws' ? 'web' : 'legacy';
  }

  get node(): Node | undefined {
    return this.#current?.node;
  }

  /** Whether it has one connection, and nothing is under way. */
  get isSettled(): boolean {
    return this.#next === undefined && this.#retry === undefined && (this.#current !== undefined) === this.isWanted;
  }

  come(status: Status, text: string): void {
    this.isWanted = true;
    this.status = status;
    this.text = text;
    this.#goneSinceMs = Number.POSITIVE_INFINITY;
    this.#connect();
  }

  beat(): void {
    this.#current?.beat();
  }

  set(status: Status, text: string): void {
    this.status = status;
    this.text = text;
    this.#current?.set();
  }

  /** To another node: the new connection first, then the end of the old one. */
  move(): void {
    this.#connect(this.#current?.node);
  }

  /** The connection breaks, and after some time there is another one. */
  reload(how: Cut, afterMs: number, mayBeGoneMs: number): void {
    this.#drop(how, mayBeGoneMs);
    this.#again(afterMs);
  }

  leave(how: Cut | 'bye'): void {
    this.isWanted = false;
    this.#drop(how, 0);
  }

  #drop(how: Cut | 'bye', mayBeGoneMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#goneSinceMs = performance.now();
    this.#mayBeGoneMs = mayBeGoneMs;
    for (const line of [this.#current, this.#next]) line?.end(how);
    this.#current = this.#next = undefined;
  }

  #again(afterMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.isWanted) this.#connect();
    }, afterMs);
  }

  #connect(except?: Node): void {
    if (this.#next !== undefined) return;
    const node = this.#host.choose(except);
    if (node === undefined) {
      if (this.#current === undefined) this.#again(200);
      return;
    }
    const line = this.kind === 'ws' ? this.#overWebSocket(node) : this.#overTcp(node);
    this.#next = line;
    setTimeout(() => {
      if (this.#next !== line) return;
      this.#host.note(`${this.kind}: no welcome from ${node.name}`);
      line.end('reset');
      this.#ended(line);
    }, WELCOME_WITHIN_MS);
  }

  #welcomed(line: Line): void {
    if (this.#next !== line) return;
    const before = this.#current;
    this.#current = line;
    this.#next = undefined;
    if (before !== undefined) this.#endOld(before, line);
    const goneMs = before === undefined ? line.startedAtMs - this.#goneSinceMs : 0;
    if (goneMs > this.#mayBeGoneMs) this.#host.wasGone();
    this.#host.note(`${this.kind}: on ${line.node.name} as ${this.status}`);
    // What was changed while it was under way.
    line.set();
  }

  /**
   * Other nodes know of a WebSocket that was welcomed without `stale` right after it (C5, C13), so the old connection may
   * say goodbye. Otherwise it just breaks, after a while. TCP has no answer that waits for the other nodes.
   */
  #endOld(old: Line, line: Line): void {
    const endLater = (): unknown => setTimeout(() => old.end('fin'), OVERLAP_MS);
    if (this.kind === 'tcp') endLater();
    else setTimeout(() => (line.isStale ? endLater() : old.end('bye')), STALE_WITHIN_MS);
  }

  #ended(line: Line): void {
    if (this.#next === line) {
      this.#next = undefined;
      if (this.#current === undefined && this.isWanted) this.#again(this.#host.random.between(100, 500));
    } else if (this.#current === line) {
      this.#current = undefined;
      this.#goneSinceMs = performance.now();
      // A drained node passes its sessions on for the rest of their leases, and a dead one keeps them for longer.
      this.#mayBeGoneMs = 1500;
      this.#host.note(`${this.kind}: lost ${line.node.name}`);
      if (this.isWanted && this.#next === undefined) this.#again(this.#host.random.between(50, 800));
    }
  }

  #overWebSocket(node: Node): Line {
    const text = this.text === '' ? {} : { text: this.text };
    const hello = { type: 'hello', user: this.user, device: this.device, status: this.status, ...text };
    let confirms = -1;
    const line: Line = {
      node,
      startedAtMs: performance.now(),
      isStale: false,
      beat: () => client.send(beatFrame),
      set: () => {
        confirms = ++this.#setNo;
        client.send(textFrame({ type: 'heartbeat', id: confirms, status: this.status, text: this.text }));
      },
      end: (how) => {
        if (how === 'bye') client.send(textFrame({ type: 'bye' }));
        client.end(how === 'bye' ? 'fin' : how);
      },
    };
    const client = new WsClient({
      port: node.place.port,
      firstFrames: [textFrame(hello)],
      onText: (message) => {
        if (message.startsWith('{"type":"welcome"')) this.#welcomed(line);
        else if (message.startsWith('{"type":"stale"')) line.isStale = true;
        else if (message.startsWith('{"type":"fresh"')) line.isStale = false;
        else if (message.startsWith('{"type":"reconnect"')) this.#sentAway(line);
        else if (message.startsWith('{"type":"ok"') && message.endsWith(`:${confirms}}`)) {
          if (this.#current === line) this.#host.confirmed(performance.now());
        } else if (message.startsWith('{"type":"error"')) this.#host.note(message);
      },
      onEnd: () => this.#ended(line),
    });
    return line;
  }

  #sentAway(line: Line): void {
    if (this.#current === line) {
      this.#host.note(`ws: sent away from ${line.node.name}`);
      this.#connect(line.node);
    }
  }

  #overTcp(node: Node): Line {
    let awaits = '';
    const frame = (): Buffer => xmlFrame(this.user, states[this.status]);
    const line: Line = {
      node,
      startedAtMs: performance.now(),
      isStale: false,
      beat: () => client.send(frame()),
      set: () => {
        awaits = `state="${states[this.status]}"`;
        client.send(frame());
      },
      end: (how) => {
        if (how === 'bye') client.send(xmlFrame(this.user, states.offline));
        client.end(how === 'bye' ? 'fin' : how);
      },
    };
    const client = new TcpClient({
      port: node.place.tcpPort,
      firstFrame: frame(),
      onAnswer: (bytes) => {
        const answer = bytes.toString('latin1');
        if (answer.includes('<error')) this.#host.note(answer);
        if (this.#next === line && answer.includes('<ack')) this.#welcomed(line);
        else if (this.#current === line && awaits !== '' && answer.includes(awaits)) {
          awaits = '';
          this.#host.confirmed(performance.now() + TCP_MARGIN_MS);
        }
      },
      onEnd: () => this.#ended(line),
    });
    return line;
  }
}
