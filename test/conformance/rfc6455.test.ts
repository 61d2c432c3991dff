/**
 * The RFC 6455 conformance run: each case goes through a whole hub, on both engines, in one packet, byte by byte and in random
 * pieces. The hub's own frames are read strictly in every case.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../bench/lib/random.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { ask, CLOSE, frame, PONG, TEXT } from './client-frames.ts';
import { type FrameCase, okOf, uwsDeviations } from './rfc6455-case.ts';
import { frameCases } from './rfc6455-frames.ts';
import { deliveries, type Delivery, piecesOf, RawWebSocket, type ServerFrame } from './raw-websocket.ts';
import { handshakeCases, soundHandshake } from './rfc6455-handshake.ts';
import { textCases } from './rfc6455-texts.ts';

const cases: readonly FrameCase[] = [...frameCases, ...textCases];

const seed = Number(process.env['RFC_SEED'] ?? 6455);
const random = new Random(seed);

let hub: TestHub;
let client: RawWebSocket;

const connect = (): RawWebSocket => (client = new RawWebSocket(Number(new URL(hub.addresses.http).port)));
const say = (message: object): Buffer => frame(TEXT, JSON.stringify(message));
const hello = say({ type: 'hello', observe: true });

async function open(handshake = soundHandshake()): Promise<RawWebSocket> {
  const socket = connect();
  await socket.send([Buffer.from(handshake)]);
  expect(await socket.answer()).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

async function welcomed(handshake?: string): Promise<RawWebSocket> {
  const socket = await open(handshake);
  expect(await answersTo(socket, [hello], 'in one packet')).toEqual(['welcome']);
  return socket;
}

/** Sends the frames and a question behind them. Answers with what comes before the answer to it, or until the end. */
async function answersTo(socket: RawWebSocket, frames: readonly Uint8Array[], delivery: Delivery): Promise<string[]> {
  const sending = socket.send(piecesOf(Buffer.concat([...frames, ask('the end')]), delivery, random));
  const answers: string[] = [];
  for (;;) {
    const next = await socket.frame();
    const answer = next === undefined ? 'cut' : nameOf(next);
    if (answer === 'ok the end') break;
    answers.push(answer);
    if (next === undefined) break;
    if (next.opcode !== CLOSE) continue;
    // 7.1.1: the hub ends the connection first, and 5.5.1: it sends nothing more on it.
    expect(await socket.frame()).toBeUndefined();
    break;
  }
  await sending;
  return answers;
}

/** A frame of the hub in the words of the cases. */
function nameOf({ opcode, payload }: ServerFrame): string {
  if (opcode === PONG) return `pong ${payload.toString('latin1')}`;
  if (opcode === CLOSE) return payload.length === 0 ? 'close' : `close ${payload.readUInt16BE()}`;
  const message = JSON.parse(payload.toString()) as { type: string; re?: string; code?: string };
  if (message.type === 'ok') return okOf(message.re ?? '');
  return message.type === 'error' ? `error ${message.code ?? ''}` : message.type;
}

/** Without the answers before a cut, which uWebSockets.js may drop. */
function sure(answers: readonly string[], isUws: boolean): readonly string[] {
  return isUws && answers.at(-1) === 'cut' ? ['cut'] : answers;
}

onBothEngines('RFC 6455', (transport) => {
  const isUws = transport === 'uws';
  beforeAll(async () => {
    hub = await startTestHub({ transport, messagesPerS: 100_000 });
  });
  afterAll(() => hub.stop());
  afterEach(() => client.end());

  describe.each(deliveries)('%s', (delivery) => {
    for (const { section, rule, request, status, statusOnUws, headers } of handshakeCases) {
      it(`${section}: ${rule} (R1)`, async () => {
        const socket = connect();
        await socket.send(piecesOf(Buffer.from(request), delivery, random));
        const [statusLine = '', ...lines] = (await socket.answer()).split('\r\n');
        if (isUws && statusOnUws !== undefined) {
          expect(statusLine).toContain(` ${statusOnUws} `);
          return;
        }
        expect(statusLine).toContain(`HTTP/1.1 ${status} `);
        const answered = new Map(
          lines.map((line) => [line.split(':', 1)[0]?.toLowerCase(), line.replace(/^.*?: /, '')]),
        );
        for (const [name, value] of Object.entries(headers)) expect(answered.get(name), name).toBe(value);
        if (status === 101) expect(await answersTo(socket, [hello], delivery)).toEqual(['welcome']);
      });
    }

    for (const { section, rule, send, answers, onUws } of cases) {
      const deviates = isUws && onUws !== undefined;
      it(`${section}: ${rule}${deviates ? ` (known deviation: ${onUws.deviation})` : ''} (R4, R5)`, async () => {
        const socket = await welcomed();
        const came = await answersTo(socket, send, delivery);
        expect(sure(came, isUws), `seed ${seed}`).toEqual(sure(deviates ? onUws.answers : answers, isUws));
      });
    }

    it('RFC 7692, 6: a compressed frame fails, because compression was offered and not agreed to (R3)', async () => {
      const socket = await welcomed(soundHandshake('permessage-deflate'));
      const answers = await answersTo(socket, [ask('a', { reserved: 4 })], delivery);
      expect(answers).toEqual([isUws ? 'cut' : 'close 1002']);
    });
  });

  it.each([125, 126, 127, 65_535, 65_536])('5.2: the hub writes a length of %i in the fewest bytes', async (bytes) => {
    const socket = await welcomed();
    const least = await lengthOf(socket, bytes, 0);
    expect(await lengthOf(socket, bytes, bytes - least)).toBe(bytes);
  });

  it('5.5.1: after ten bad messages the hub’s close is its last frame', async () => {
    const socket = await open();
    const bad = Array<Uint8Array>(12).fill(frame(TEXT, 'x'));
    const answers = await answersTo(socket, bad, 'in one packet');
    expect(answers).toEqual([...Array<string>(10).fill('error bad_message'), 'close 4400']);
  });
});

/** The payload's bytes of the answer to a heartbeat, or of a snapshot if it should be large. */
async function lengthOf(socket: RawWebSocket, atMost: number, idLength: number): Promise<number> {
  const id = 'x'.repeat(idLength);
  const users = Array.from({ length: 560 }, (_, i) => `user-${i + 100}`);
  await socket.send([atMost < 1_000 ? say({ type: 'heartbeat', id }) : say({ type: 'watch', users, id })]);
  return (await socket.frame())?.payload.length ?? 0;
}

it('each known deviation of uWebSockets.js has a case (R6, R7, R8, R9)', () => {
  const seen = new Set<string | undefined>(cases.map(({ onUws }) => onUws?.deviation));
  expect(Object.keys(uwsDeviations).filter((name) => !seen.has(name))).toEqual([]);
});
