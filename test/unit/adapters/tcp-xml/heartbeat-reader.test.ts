/** The reader of one connection, with a socket that the test lets receive bytes: when it reads, pauses and resumes. */
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultFieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';
import { FrameTemplates } from '../../../../server/adapters/tcp-xml/frames/frame-templates.ts';
import type { TcpXmlOptions } from '../../../../server/adapters/tcp-xml/options.ts';
import { HeartbeatReader } from '../../../../server/adapters/tcp-xml/pacing/heartbeat-reader.ts';
import { ReadPauses } from '../../../../server/adapters/tcp-xml/pacing/read-pauses.ts';
import { FairQueue } from '../../../../server/lib/collections/fair-queue.ts';
import { InputWait } from '../../../../server/lib/time/input-wait.ts';
import { TestClock } from '../../../support/clock.ts';

const LEASE_MS = 5_400;
const MAX_PAUSE_MS = LEASE_MS / 4;
const frame = (state: number): string => `<protocol><user_id>42</user_id><user_state>${state}</user_state></protocol>`;

let clock: TestClock;
let socket: Socket;
let reader: HeartbeatReader;
/** The states read so far; -9 for a bad frame. */
let states: number[];
let refused: string[];
let visits: number[];
let onHeartbeat: (state: number) => void;

function open(perS: number, burst: number): void {
  const context: Partial<TcpXmlOptions> = {
    clock,
    inputWait: new InputWait(),
    encoding: 'utf-8',
    names: defaultFieldNames,
    messages: { perS, burst },
    frameMs: 30_000,
    timeoutMs: LEASE_MS,
    onRefused: (reason) => refused.push(reason),
  };
  const host = {
    queue: new FairQueue({ clock, afterTurn: () => undefined }),
    templates: new FrameTemplates('utf-8', defaultFieldNames),
    visitBy: (atMs: number) => visits.push(atMs),
    onDone: () => undefined,
  };
  reader = new HeartbeatReader(context as TcpXmlOptions, socket, host, {
    onHeartbeat: ({ state }) => {
      states.push(state);
      onHeartbeat(state);
    },
    onRepeats: () => false,
    onBadFrame: () => states.push(-9),
  });
  reader.start(undefined);
}

const receive = (text: string): boolean => socket.emit('data', Buffer.from(text));
function pass(ms: number): void {
  clock.pass(ms);
  reader.tick(clock.monoMs);
}

beforeEach(() => {
  clock = new TestClock();
  socket = new Socket();
  states = [];
  refused = [];
  visits = [];
  onHeartbeat = () => undefined;
});
afterEach(() => {
  socket.destroy();
});

describe('a reader', () => {
  it('reads on after a pause for the rate, in order, and counts each byte once', () => {
    const received = vi.spyOn(ReadPauses.prototype, 'received');
    open(10, 1);
    const bytes = [1, 2, 3, 4].map(frame).join('');
    receive(bytes);
    expect([states, refused, socket.isPaused()]).toEqual([[1, 2], ['messages'], true]);
    expect(visits.at(-1)).toBe(clock.monoMs + 200);
    pass(199);
    expect(states).toEqual([1, 2]);
    pass(1);
    expect([states, socket.isPaused()]).toEqual([[1, 2, 3, 4], true]);
    pass(200);
    expect([states, socket.isPaused()]).toEqual([[1, 2, 3, 4], false]);
    expect(received.mock.calls.reduce((sum, [length]) => sum + length, 0)).toBe(bytes.length);
    received.mockRestore();
  });

  it('pauses for tokens until it may resume, or for the maximum', () => {
    open(1000, 1000);
    onHeartbeat = () => reader.control.pauseForTokens(clock.monoMs);
    receive(frame(1) + frame(2));
    expect([states, reader.dueAt]).toEqual([[1], clock.monoMs + MAX_PAUSE_MS]);
    clock.pass(100);
    reader.control.resumeAfterTokens();
    expect([states, reader.control.pausedMs]).toEqual([[1, 2], 100]);
    pass(MAX_PAUSE_MS);
    expect(socket.isPaused()).toBe(false);
  });

  it('does not pause for tokens again and again if their verification is what takes long', () => {
    open(1000, 1000);
    onHeartbeat = () => reader.control.pauseForTokens(clock.monoMs);
    receive(frame(1) + frame(2) + frame(3));
    pass(MAX_PAUSE_MS);
    expect(states).toEqual([1, 2, 3]);
  });

  it('waits for its rate after a pause for tokens', () => {
    open(10, 1);
    onHeartbeat = (state) => {
      if (state === 2) reader.control.pauseForTokens(clock.monoMs);
    };
    receive([1, 2, 3].map(frame).join(''));
    expect([states, refused]).toEqual([[1, 2], ['messages']]);
    clock.pass(100);
    reader.control.resumeAfterTokens();
    expect([states, reader.dueAt]).toEqual([[1, 2], clock.monoMs + 100]);
    pass(100);
    expect(states).toEqual([1, 2, 3]);
  });

  it('says when a frame has begun and does not end', () => {
    open(1000, 1000);
    receive('<proto');
    expect(visits.at(-1)).toBe(clock.monoMs + 30_000);
    clock.pass(29_999);
    expect(reader.tick(clock.monoMs)).toBe(false);
    clock.pass(1);
    expect(reader.tick(clock.monoMs)).toBe(true);
  });

  it('reads nothing any more once it is stopped, not even the rest of a packet', () => {
    open(1000, 1000);
    onHeartbeat = () => reader.stop();
    receive(frame(1) + frame(2));
    receive(frame(3));
    expect([states, reader.dueAt]).toEqual([[1], Infinity]);
  });
});
