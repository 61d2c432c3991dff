/**
 * The heartbeat senders: connections that together send heartbeats at an even rate, from prepared frames. Runs in a
 * separate process whose loop never sleeps while it sends, because a timer with milliseconds would cause bursts. Judges
 * nothing.
 */
import { inParallel, sleep } from '../lib/pacing.ts';
import { openFilesLimit } from '../lib/proc.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient } from '../lib/tcp-client.ts';
import { typeOf, wires, type WireName } from '../lib/wires.ts';
import { WsClient } from '../lib/ws-client.ts';

export interface HeartbeatSendersTask {
  readonly port: number;
  readonly wire: WireName | 'xml';
  readonly connections: number;
  /** Over TCP: number of users that share a connection; 1, or a multiple of `framesAWrite`. */
  readonly usersAConnection: number;
  readonly framesAWrite: number;
  /** Further connections of one user each that send nothing more once they are there. */
  readonly idle: number;
}

/** Since they were last asked for. */
export interface HeartbeatSendersFigures {
  readonly sent: number;
  /** Not sent, since the connection's last write had not been taken. */
  readonly heldBack: number;
  readonly lost: number;
  readonly worstLateMs: number;
  /** Of this process: less than nearly all of a core means that something else took it. */
  readonly cpuPercent: number;
}

interface Sender {
  send(frame: Buffer): void;
  readonly isBehind: boolean;
  readonly writes: readonly Buffer[];
  next: number;
}

/** Six digits, so that all frames are equally long. */
const FIRST_USER = 100_000;
const LAST_USER = 999_999;
const FILES_BESIDE = 50;
const OPEN_AT_ONCE = 128;
const WRITES_A_TURN = 64;
const SETTLE_MS = 300;
const senders: Sender[] = [];
let framesAWrite = 1;
let counts = { sent: 0, heldBack: 0, lost: 0, worstLateMs: 0 };
let sentInAll = 0;
let countedAt = 0;
let usageBefore = process.cpuUsage();
let isSending = false;

const commands = {
  open: async (task: HeartbeatSendersTask): Promise<void> => {
    framesAWrite = task.framesAWrite;
    const { connections, idle, usersAConnection } = task;
    if (task.wire === 'xml' && FIRST_USER + connections * usersAConnection + idle > LAST_USER)
      throw new Error(`at most ${LAST_USER - FIRST_USER} users`);
    if (connections + idle + FILES_BESIDE > openFilesLimit())
      throw new Error(`${connections + idle} connections are more than the ${openFilesLimit()} files that may be open`);
    const all = Array.from({ length: connections + idle }, (_, index) => index);
    await inParallel(all, OPEN_AT_ONCE, async (index) => {
      const open = task.wire === 'xml' ? openTcp(task, index) : openWs(task, task.wire, index);
      const sender = await open;
      if (index < connections) senders.push(sender);
    });
    await sleep(SETTLE_MS);
  },
  /** Goes on until `rest`. */
  startSending: (ratePerS: number): void => {
    isSending = true;
    void send(ratePerS / framesAWrite);
  },
  figures: (): HeartbeatSendersFigures => {
    const now = performance.now();
    const { user, system } = process.cpuUsage(usageBefore);
    const figures = { ...counts, cpuPercent: (user + system) / 10 / (now - countedAt) };
    counts = { sent: 0, heldBack: 0, lost: 0, worstLateMs: 0 };
    countedAt = now;
    usageBefore = process.cpuUsage();
    return figures;
  },
  /** @returns how many it has sent since it began. */
  rest: (): number => {
    isSending = false;
    return sentInAll;
  },
};

export type HeartbeatSendersCommands = typeof commands;

async function send(writesPerS: number): Promise<void> {
  const startedAt = performance.now();
  let written = 0;
  let next = 0;
  while (isSending) {
    const due = Math.floor(((performance.now() - startedAt) * writesPerS) / 1000) - written;
    counts.worstLateMs = Math.max(counts.worstLateMs, ((due - 1) * 1000) / writesPerS);
    for (let left = Math.min(due, WRITES_A_TURN); left > 0; left -= 1) {
      const sender = senders[next];
      if (sender !== undefined) write(sender);
      next = next + 1 === senders.length ? 0 : next + 1;
      written += 1;
    }
    await new Promise(setImmediate);
  }
}

function write(sender: Sender): void {
  if (sender.isBehind) {
    counts.heldBack += framesAWrite;
    return;
  }
  const bytes = sender.writes[sender.next];
  if (bytes !== undefined) sender.send(bytes);
  sender.next = sender.next + 1 === sender.writes.length ? 0 : sender.next + 1;
  counts.sent += framesAWrite;
  sentInAll += framesAWrite;
}

/** `refuse` means something as long as the connection was not there yet. */
function noteEnd(refuse: (error: Error) => void): void {
  counts.lost += 1;
  refuse(new Error('the server ended a connection before it sent heartbeats'));
}

function openTcp({ port, connections, usersAConnection }: HeartbeatSendersTask, index: number): Promise<Sender> {
  const isIdle = index >= connections;
  const first = isIdle ? connections * usersAConnection + (index - connections) : index * usersAConnection;
  const frames = Array.from({ length: isIdle ? 1 : usersAConnection }, (_, user) => xml(FIRST_USER + first + user));
  return new Promise((resolve, reject) => {
    const client = new TcpClient({
      port,
      firstFrame: frames[0] ?? Buffer.alloc(0),
      onConnect: () => resolve(senderOf(client, frames)),
      onEnd: () => noteEnd(reject),
    });
  });
}

function openWs({ port }: HeartbeatSendersTask, wire: WireName, index: number): Promise<Sender> {
  const { frame } = wires[wire];
  return new Promise((resolve, reject) => {
    const client = new WsClient({
      port,
      wire,
      firstFrames: [frame('hello', { user: `u${index}` })],
      onText: (text) => {
        if (typeOf(text) === 'welcome') resolve(senderOf(client, [frame('heartbeat')]));
      },
      onEnd: () => noteEnd(reject),
    });
  });
}

function senderOf(client: TcpClient | WsClient, frames: readonly Buffer[]): Sender {
  const count = frames.length === 1 ? 1 : frames.length / framesAWrite;
  const writes = Array.from({ length: count }, (_, no) =>
    Buffer.concat(
      frames.length === 1
        ? Array.from({ length: framesAWrite }, () => frames[0] ?? Buffer.alloc(0))
        : frames.slice(no * framesAWrite, (no + 1) * framesAWrite),
    ),
  );
  return {
    send: (bytes) => client.send(bytes),
    get isBehind() {
      return client.isBehind;
    },
    writes,
    next: 0,
  };
}

function xml(user: number): Buffer {
  return Buffer.from(
    `<protocol><user_id>${user}</user_id><user_state>1</user_state>` +
      '<user_ip>10.0.0.1</user_ip><user_port>5222</user_port></protocol>\n',
  );
}

serveRole(commands);
