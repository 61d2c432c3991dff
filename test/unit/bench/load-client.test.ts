import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { LoadClient, messageHead, script, startsWith } from '../../bench/lib/load-client.ts';
import { readStamps, stampText } from '../../bench/lib/stamps.ts';
import { FrameReader, opcodes } from '../../bench/lib/ws-frames.ts';
import type { WireName } from '../../bench/lib/wires.ts';

const FIN = 0x80;

function serverFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.from([FIN | opcode, length])
      : Buffer.from([FIN | opcode, 126, Math.floor(length / 256), length % 256]);
  return Buffer.concat([head, payload]);
}

const textOf = (text: string): Buffer => serverFrame(opcodes.text, Buffer.from(text));
const presence = (users: readonly number[]): Buffer =>
  textOf(
    JSON.stringify({
      type: 'presence',
      entries: users.map((user) => ({ user: `u${user}`, text: stampText({ user, change: user + 1, sentAtUs: 77 }) })),
    }),
  );

describe('stamps in a stream of frames', () => {
  const stream = Buffer.concat([
    presence([1]),
    serverFrame(opcodes.ping, Buffer.from('"text":"L9,9,9')),
    presence([2, 3, 4]),
    presence([]),
    presence([5]),
  ]);

  /** As sockets are read: all chunks into one buffer, which the next one overwrites. */
  function usersOf(chunks: readonly Buffer[]): number[] {
    const shared = Buffer.alloc(stream.length);
    const users: number[] = [];
    const reader = new FrameReader((opcode, payload) => {
      if (opcode === opcodes.text) readStamps(payload, (user) => users.push(user));
    });
    for (const chunk of chunks) {
      shared.fill('x');
      chunk.copy(shared);
      reader.push(shared.subarray(0, chunk.length));
    }
    return users;
  }

  it('are found wherever the bytes are cut in two', () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      expect(usersOf([stream.subarray(0, cut), stream.subarray(cut)]), `cut at ${cut}`).toEqual([1, 2, 3, 4, 5]);
    }
  });

  it('are found when every byte comes alone', () => {
    expect(usersOf(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('a client of the load', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  /** Answers the upgrade and then, to each frame of the client, the next of the answers. */
  async function serve(answers: readonly (readonly string[])[], onSocket?: (socket: Socket) => void): Promise<number> {
    server = createServer((socket) => {
      let asked = 0;
      socket.on('data', () => {
        const head = asked === 0 ? 'HTTP/1.1 101 Switching Protocols\r\n\r\n' : '';
        socket.write(Buffer.concat([Buffer.from(head), ...(answers[asked] ?? []).map(textOf)]));
        asked += 1;
      });
      socket.on('error', () => {});
      onSocket?.(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  function run(port: number, wire: WireName): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const messages: string[] = [];
      const client = new LoadClient({
        port,
        wire,
        script: script(wire, { user: 'w1' }, { users: ['u1'] }),
        onReady: () => messages.push('ready'),
        onMessage: (message) => {
          messages.push(message.toString());
          client.end();
          resolve(messages);
        },
        onLost: (why) => reject(new Error(why)),
      });
    });
  }

  it('sends hello, watches, and reports messages after its snapshot', async () => {
    const port = await serve([
      [],
      ['{"type":"welcome"}'],
      ['{"type":"stale"}', '{"type":"snapshot","entries":[]}', '{"type":"presence","entries":[]}'],
    ]);
    await expect(run(port, 'json')).resolves.toEqual(['ready', '{"type":"presence","entries":[]}']);
  });

  it('does the same in the framing of Socket.IO', async () => {
    const port = await serve([
      ['0{"sid":"a"}'],
      ['40{"sid":"b"}'],
      ['42["welcome",{}]'],
      ['42["snapshot",{}]', '2', '42["presence",{}]'],
    ]);
    await expect(run(port, 'socketio')).resolves.toEqual(['ready', '42["presence",{}]']);
  });

  it('is lost with the error that the server gave', async () => {
    const port = await serve([[], ['{"type":"error","code":"too_many"}']], (socket) => {
      socket.on('data', (bytes) => {
        if (!bytes.toString('latin1').startsWith('GET')) socket.end();
      });
    });
    await expect(run(port, 'json')).rejects.toThrow('too_many');
  });

  it('knows a message by its head on either wire', () => {
    const cases = [
      ['json', '{"type":"presence","entries":[]}', true],
      ['json', '{"type":"presenc', false],
      ['json', '{"type":"snapshot","entries":[]}', false],
      ['socketio', '42["presence",{}]', true],
      ['socketio', '42["snapshot",{}]', false],
    ] as const;
    for (const [wire, text, isOne] of cases)
      expect(startsWith(Buffer.from(text), messageHead(wire, 'presence')), text).toBe(isOne);
  });
});
