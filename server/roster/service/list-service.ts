/**
 * Reads friend lists from the operator's own service: `GET {url}/{user}` answers `{"friends":["7","9"]}`, and 404 means
 * no friends. Protects the hub against slow, huge and wrong answers, and follows no redirect. Keeps no list.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isUserId } from '../../../shared/ids.ts';
import { Gate } from '../../lib/collections/gate.ts';
import { limitInterimAnswers, readBounded, smallReads, TooMuch } from '../../lib/net/bounded-answer.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { ListSource, ReadList } from '../remote.ts';

export interface ListServiceOptions {
  /** Without the user. */
  readonly url: URL;
  /** The bearer token; null for none. */
  readonly token: string | null;
  /** Maximum friends of one user. */
  readonly maxFriends: number;
  /** Reports an answer that cannot be used, for the log. */
  readonly onBadAnswer: (user: string, why: string) => void;
  /** Certificates to trust instead of the system's. */
  readonly ca?: string;
  readonly answerWithinMs?: number;
}

const ANSWER_WITHIN_MS = 5000;
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
const MAX_HEAD_BYTES = 16 * 1024;
/** Requests at the same time. */
const MAX_REQUESTS = 32;

/** An answer that cannot be used. It concerns one list, so the service is not down. */
class BadAnswer extends Error {}

interface Answer {
  readonly status: number;
  readonly body: string;
}

export class ListService implements ListSource {
  readonly #options: ListServiceOptions;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #stopped = new AbortController();
  readonly #gate = new Gate(MAX_REQUESTS);

  constructor(options: ListServiceOptions) {
    this.#options = options;
    const settings = { keepAlive: true, maxSockets: MAX_REQUESTS, onread: smallReads };
    this.#agent = options.url.protocol === 'https:' ? new HttpsAgent(settings) : new HttpAgent(settings);
  }

  async read(users: readonly string[]): Promise<ReadonlyMap<string, ReadList | StorageUnavailable>> {
    const lists = new Map<string, ReadList | StorageUnavailable>();
    let failure: StorageUnavailable | undefined;
    await Promise.all(
      users.map(async (user) => {
        await this.#gate.enter();
        try {
          if (failure === undefined) lists.set(user, await this.#readOne(user));
        } catch (error) {
          failure ??= unavailable(error);
        } finally {
          this.#gate.leave();
        }
      }),
    );
    if (failure !== undefined) throw failure;
    return lists;
  }

  stop(): void {
    this.#stopped.abort();
    this.#agent.destroy();
  }

  /** @throws if the service is down. */
  async #readOne(user: string): Promise<ReadList | StorageUnavailable> {
    try {
      const { status, body } = await this.#get(user);
      if (status === 404) return { friends: [], position: 0 };
      if (status !== 200) throw new Error(`it answered ${status}`);
      return { friends: this.#parse(user, body), position: 0 };
    } catch (error) {
      if (!(error instanceof BadAnswer || error instanceof TooMuch)) throw error;
      this.#options.onBadAnswer(user, error.message);
      return new StorageUnavailable('gave an answer that cannot be used', error);
    }
  }

  async #get(user: string): Promise<Answer> {
    const base = this.#options.url.href.replace(/\/$/, '');
    const url = new URL(`${base}/${encodeURIComponent(user)}`);
    try {
      return await this.#request(url);
    } catch (error) {
      // A kept connection may be closed by the service at the moment of its use.
      if (error instanceof ReusedSocketClosed) return this.#request(url);
      throw error;
    }
  }

  #request(url: URL): Promise<Answer> {
    const { token, ca, answerWithinMs = ANSWER_WITHIN_MS } = this.#options;
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      agent: this.#agent,
      maxHeaderSize: MAX_HEAD_BYTES,
      signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(answerWithinMs)]),
      ...(ca === undefined ? {} : { ca }),
      headers: {
        accept: 'application/json',
        'user-agent': 'presence-hub',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      limitInterimAnswers(request, (why) => request.destroy(new TooMuch(why)));
      request.on('response', (response) => {
        isAnswered = true;
        readBounded(response, MAX_ANSWER_BYTES).then(
          (body) => resolve({ status: response.statusCode ?? 0, body }),
          reject,
        );
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        reject(request.reusedSocket && error.code === 'ECONNRESET' ? new ReusedSocketClosed() : error);
      });
      // A switch of protocols ends the request without an error.
      request.on('close', () => {
        if (!isAnswered) reject(new Error('it closed without an answer'));
      });
      request.end();
    });
  }

  /** @throws {BadAnswer} */
  #parse(user: string, body: string): readonly string[] {
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch {
      throw new BadAnswer('it is not JSON');
    }
    const friends = typeof json === 'object' && json !== null && 'friends' in json ? json.friends : undefined;
    if (!Array.isArray(friends)) throw new BadAnswer('it has no list "friends"');
    const bad = friends.findIndex((friend) => typeof friend !== 'string' || !isUserId(friend));
    if (bad >= 0) throw new BadAnswer(`friends.${bad} is not a user id`);
    const others = new Set(friends as string[]);
    others.delete(user);
    const { maxFriends } = this.#options;
    if (others.size > maxFriends) throw new BadAnswer(`it has ${others.size} friends, more than HUB_MAX_FRIENDS`);
    return [...others];
  }
}

class ReusedSocketClosed extends Error {}

/** Describes an error without the URL. */
function unavailable(error: unknown): StorageUnavailable {
  const cause = error instanceof Error ? error : new Error(String(error));
  const isLate = cause.name === 'AbortError' || cause.name === 'TimeoutError';
  return new StorageUnavailable(isLate ? 'does not answer' : 'cannot be read', cause);
}
