/**
 * WebSocket bytes: frames that break the rules of framing (bits, masks, lengths, fragments, control frames, UTF-8), and
 * well-framed messages that break those of the contract. Each input upgrades a connection of its own.
 */
import type { Random } from '../../bench/lib/random.ts';
import { clientFrame, opcodes, upgradeRequest } from '../../bench/lib/ws-frames.ts';
import type { Corpus } from '../lib/corpus.ts';
import { edgeJson, mutate, mutateJson, randomBytes, split } from '../lib/mutate.ts';
import type { Target } from './target.ts';

const FIN = 0x80;
const upgrade = upgradeRequest(80);
const tokens = [
  '\r\n',
  '\r\n\r\n',
  'Upgrade: x\r\n',
  'Sec-WebSocket-Version: 8\r\n',
  'Origin: http://a\r\n',
  '\u0000',
  '?a=%zz',
].map((one) => Buffer.from(one));

export const ws: Target = {
  name: 'ws',
  door: 'http',
  make: (random, corpus) => {
    const parts = 1 + random.below(8);
    const head = random.isOneIn(12) ? mutate(random, upgrade, tokens) : upgrade;
    const hello = random.isOneIn(5)
      ? []
      : [text(random, JSON.stringify({ type: 'hello', user: `f${random.below(50)}` }))];
    const observe = random.isOneIn(6) ? [text(random, '{"type":"hello","observe":true}')] : hello;
    const isRaw = random.isOneIn(2);
    const frames = Array.from({ length: parts }, () =>
      isRaw ? raw(random, corpus) : text(random, message(random, corpus)),
    );
    const asksFirst = !random.isOneIn(12);
    return { parts, asksFirst, chunks: [head, ...split(random, Buffer.concat([...observe, ...frames]))] };
  },
};

function message(random: Random, corpus: Corpus): string {
  const seed = random.pick(corpus.messages);
  const kind = random.below(8);
  if (kind === 0) return seed;
  if (kind === 1) return edgeJson(random);
  return mutateJson(random, seed);
}

/** One message, whole or in fragments as the standard allows. */
function text(random: Random, json: string): Buffer {
  const payload = Buffer.from(json);
  if (!random.isOneIn(6) || payload.length < 2) return clientFrame(FIN | opcodes.text, payload);
  const at = 1 + random.below(payload.length - 1);
  const first = clientFrame(opcodes.text, payload.subarray(0, at));
  const between = random.isOneIn(2) ? clientFrame(FIN | opcodes.ping, Buffer.from('between')) : Buffer.alloc(0);
  return Buffer.concat([first, between, clientFrame(FIN, payload.subarray(at))]);
}

function raw(random: Random, corpus: Corpus): Buffer {
  const payload = payloadOf(random, corpus);
  const good = clientFrame(FIN | opcodes.text, payload);
  switch (random.below(11)) {
    case 0: // any bits
      return clientFrame(random.below(256), payload);
    case 1: // reserved bits
      return clientFrame(FIN | (0x10 << random.below(3)) | opcodes.text, payload);
    case 2: // a control frame that is too long, or in fragments
      return clientFrame((random.isOneIn(2) ? FIN : 0) | (8 + random.below(3)), randomBytes(random, random.below(300)));
    case 3: // a close with any code and any reason
      return clientFrame(FIN | opcodes.close, randomBytes(random, random.below(130)));
    case 4: // not masked
      return unmasked(good);
    case 5: // a length that lies
      return lying(random, good);
    case 6: // a continuation of nothing
      return clientFrame(random.isOneIn(2) ? FIN : 0, payload);
    case 7: // a second beginning
      return Buffer.concat([clientFrame(opcodes.text, payload), clientFrame(opcodes.text, payload)]);
    case 8: // not UTF-8
      return clientFrame(
        FIN | opcodes.text,
        Buffer.concat([Buffer.from('{"type":"'), randomBytes(random, 6), Buffer.from('"}')]),
      );
    case 9:
      return clientFrame(FIN | opcodes.binary, payload);
    default:
      return mutate(random, good, [randomBytes(random, 4), good, Buffer.alloc(14, 0xff)]);
  }
}

function payloadOf(random: Random, corpus: Corpus): Buffer {
  const kind = random.below(8);
  if (kind === 0) return randomBytes(random, random.below(200));
  if (kind === 1) return Buffer.alloc(random.pick([0, 125, 126, 127, 16_384, 16_385, 65_535, 65_536]), 'a');
  return Buffer.from(random.pick(corpus.messages));
}

function unmasked(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[1] = (copy[1] ?? 0) & 0x7f;
  return copy;
}

function lying(random: Random, frame: Buffer): Buffer {
  const head = Buffer.alloc(random.isOneIn(2) ? 4 : 10, random.pick([0, 1, 0x7f, 0xff]));
  head[0] = frame[0] ?? 0;
  head[1] = 0x80 | (head.length === 4 ? 126 : 127);
  return Buffer.concat([head, frame.subarray(2)]);
}
