/**
 * HTTP requests to a hub: a JSON body, and a JSON answer or the hub's reason for a refusal. Tries once; the kind of the
 * answer says whether another attempt makes sense.
 */
import { parseJson } from '../../../shared/messages/json.ts';
import { waitMs } from '../../sdk/internal.ts';
import type { HubAccess } from './access.ts';
import { describeNoHub } from './address.ts';
import { exitWith, type Io } from '../terminal/io.ts';
import { harmless } from '../terminal/terminal-text.ts';
import { describeRefusal, type TokenSource } from './token.ts';

/** The close code of a connection that broke. */
const NO_ANSWER = 1006;
const ANSWER_WITHIN_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const NO_CONTENT = 204;

export type HubAnswer =
  | { readonly kind: 'ok'; readonly body: unknown }
  /** The hub refuses and would refuse again. `says` is the hub's text; `problem` is a line with the remedy. */
  | Refused
  /** The hub refuses for now. */
  | { readonly kind: 'later'; readonly status: number; readonly problem: string; readonly afterMs: number | undefined }
  | { readonly kind: 'unreachable'; readonly problem: string };

interface Refused {
  readonly kind: 'refused';
  readonly status: number;
  readonly says: string;
  readonly problem: string;
  /** Waits for a fresh token and returns whether to ask again. Undefined if that would not help. */
  readonly renewed: (() => Promise<boolean>) | undefined;
}

interface HubRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** The path below the hub's address: `/v1/…`. */
  readonly path: string;
  readonly body?: unknown;
  /** The answer is text, not JSON. */
  readonly isText?: boolean;
  readonly signal?: AbortSignal;
}

export type HttpAccess = Pick<HubAccess, 'http' | 'token'>;

export async function askHub(access: HttpAccess, request: HubRequest): Promise<HubAnswer> {
  const token = access.token.read();
  if (!token.ok) return { kind: 'unreachable', problem: token.problem };
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const { method, path, body, isText = false, signal } = request;
  try {
    const response = await fetch(`${access.http}${path}`, {
      method,
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token.value === undefined ? {} : { authorization: `Bearer ${token.value}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await readAnswer(response, { http: access.http, source: access.token, sent: token.value, isText, signal });
  } catch (error) {
    return { kind: 'unreachable', problem: describeNoHub(access.http, error) };
  }
}

interface AnswerContext {
  readonly http: string;
  readonly source: TokenSource;
  readonly sent: string | undefined;
  readonly isText: boolean;
  readonly signal: AbortSignal | undefined;
}

async function readAnswer(
  response: Response,
  { http, source: token, sent, isText, signal }: AnswerContext,
): Promise<HubAnswer> {
  const { ok, status, headers } = response;
  const text = await readText(response);
  const body = isText && ok ? text : parseJson(text);
  if (ok && body === undefined && status !== NO_CONTENT) {
    const problem = `the server at ${http} is not a hub`;
    return { kind: 'refused', status, says: 'its answer is not JSON', problem, renewed: undefined };
  }
  if (ok) {
    token.accepted();
    return { kind: 'ok', body };
  }
  const says = readDetail(status, body);
  if (isForNow(status)) {
    return { kind: 'later', status, problem: says, afterMs: readRetryAfter(headers.get('retry-after')) };
  }
  const problem = describeStatus(status, says, token);
  const isRenewable = status === 401 && sent !== undefined && token.isRenewable;
  return {
    kind: 'refused',
    status,
    says,
    problem,
    renewed: isRenewable ? () => token.renewed(sent, signal) : undefined,
  };
}

/** The longest answers are lists of 10,000 ids. */
async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`its answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Prints why the request failed and returns the exit code. */
export function failWith(answer: Exclude<HubAnswer, { kind: 'ok' }>, io: Io): number {
  return exitWith(io, harmless(describeFailure(answer)));
}

function describeFailure(answer: Exclude<HubAnswer, { kind: 'ok' }>): string {
  if (answer.kind !== 'later') return answer.problem;
  const when = answer.afterMs === undefined ? 'later' : `in ${Math.ceil(answer.afterMs / 1000)} s`;
  return `the hub is busy: ${answer.problem}; try again ${when}`;
}

export function friendPath(user: string, friend: string, isOneway: boolean): string {
  const path = `/v1/users/${encodeURIComponent(user)}/friends/${encodeURIComponent(friend)}`;
  return isOneway ? `${path}?oneway=true` : path;
}

/** Returns when to try again after a request that failed this often in a row. */
export function retryMs(failures: number): number {
  return waitMs(NO_ANSWER, failures, Math.random());
}

/** 429 limits the rate. 500 is a failure of the hub, and a proxy answers 502 and 504 while the hub restarts. */
function isForNow(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Adds the remedy to a refused permission. For anything else, repeats the hub's text. */
function describeStatus(status: number, says: string, token: TokenSource): string {
  if (status === 401) return describeRefusal('unauthenticated', token, says);
  if (status === 403) return describeRefusal('forbidden', token, says);
  return `the hub refused: ${says}`;
}

/** Reads the `detail` of a problem. An answer that is not from a hub has none. */
function readDetail(status: number, body: unknown): string {
  const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined;
  return typeof detail === 'string' ? detail : `it answered ${status}`;
}

function readRetryAfter(value: string | null): number | undefined {
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined;
}
