/**
 * What every engine must do with an answer that is sent in parts. Part of engine-contract.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BodyRest } from '../../server/sockets/port.ts';
import { Rig, type Tested } from './engine-rig.ts';

const PART = 'x'.repeat(64 * 1024);
/** More than the kernel keeps for a client that does not read. */
const MANY_PARTS = 1024;
/** The longest time in which a part follows the one before. */
const STALLED_MS = 300;

/** Parts that count how many of them were asked for. */
class Parts implements BodyRest {
  readonly close = vi.fn();
  asked = 0;
  readonly #next: (no: number) => string | undefined;

  constructor(next: (no: number) => string | undefined) {
    this.#next = next;
  }

  async next(): Promise<string | undefined> {
    this.asked += 1;
    await Promise.resolve();
    return this.#next(this.asked);
  }
}

export function streamedContract(engine: Tested): void {
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start(engine);
  });
  afterEach(() => rig.stop());

  function answerWith(rest: BodyRest): void {
    rig.http = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '[', rest });
  }

  function ask(method = 'GET'): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const send = rig.isTls ? httpsRequest : httpRequest;
      const options = { host: '127.0.0.1', port: rig.port, method, path: '/', agent: false, rejectUnauthorized: false };
      send(options, resolve).on('error', reject).end();
    });
  }

  /** The body, or why it is not complete. */
  function read(answer: IncomingMessage): Promise<string> {
    return new Promise((resolve) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => resolve(text));
      answer.on('error', (error) => resolve(error.message));
    });
  }

  describe('an answer in parts', () => {
    it('arrives as a whole, in chunks, and is the last one of its connection', async () => {
      const parts = new Parts((no) => ['1', '', ',2', ']'][no - 1]);
      answerWith(parts);
      const answer = await ask();
      expect(answer.headers).toMatchObject({ 'transfer-encoding': 'chunked', connection: 'close' });
      expect(answer.headers['content-length']).toBeUndefined();
      expect(await read(answer)).toBe('[1,2]');
      expect(parts.close).toHaveBeenCalledTimes(1);
    });

    it('is read no faster than its client reads, and is then complete (H35)', async () => {
      const parts = new Parts((no) => (no <= MANY_PARTS ? PART : undefined));
      answerWith(parts);
      const onWarning = vi.fn();
      process.on('warning', onWarning);
      const answer = await ask();
      let before = -1;
      while (parts.asked !== before) {
        before = parts.asked;
        await delay(STALLED_MS);
      }
      expect(parts.asked).toBeLessThan(MANY_PARTS / 2);
      expect((await read(answer)).length).toBe(1 + MANY_PARTS * PART.length);
      expect(parts.close).toHaveBeenCalledTimes(1);
      process.off('warning', onWarning);
      // Node warns of listeners that are added for each part and stay.
      expect(onWarning).not.toHaveBeenCalled();
    });

    it('of which a part cannot be read never looks complete (H35)', async () => {
      const parts = new Parts((no) => {
        if (no < 5) return PART;
        throw new Error('the disk failed');
      });
      answerWith(parts);
      expect(await read(await ask())).toMatch(/aborted|hang up|ECONNRESET/);
      expect(parts.close).toHaveBeenCalledTimes(1);
      expect((await rig.connect()).hub).toBeDefined();
    });

    it('is not read on when its client has left', async () => {
      const parts = new Parts(() => PART);
      answerWith(parts);
      const answer = await ask();
      answer.destroy();
      await vi.waitFor(() => expect(parts.close).toHaveBeenCalledTimes(1), { timeout: 15_000 });
      const { asked } = parts;
      await delay(STALLED_MS);
      expect(parts.asked).toBe(asked);
    });

    it('has no body for HEAD, and nothing is read', async () => {
      const parts = new Parts(() => PART);
      answerWith(parts);
      expect(await read(await ask('HEAD'))).toBe('');
      expect(parts).toMatchObject({ asked: 0 });
      expect(parts.close).toHaveBeenCalledTimes(1);
    });
  });
}
