/**
 * Requests to a hub over HTTP: a body in JSON, an answer in JSON or the hub's own words on why there is none.
 * Tries once; who wants to try again decides that by the kind of the answer. Called by beat, friends, import and demo.
 */
import { parseJson } from '../../shared/json.ts';
import { describeNoHub } from './address.ts';

const ANSWER_WITHIN_MS = 30_000;

export type HubAnswer =
  | { readonly kind: 'ok'; readonly body: unknown }
  /** The hub says no, and would say so again. */
  | { readonly kind: 'refused'; readonly status: number; readonly problem: string }
  /** The hub says not now. */
  | { readonly kind: 'later'; readonly problem: string; readonly afterMs: number | undefined }
  | { readonly kind: 'unreachable'; readonly problem: string };

interface HubRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** From the hub's address on: `/v1/…`. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export async function askHub(http: string, { method, path, body, signal }: HubRequest): Promise<HubAnswer> {
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
  try {
    const response = await fetch(`${http}${path}`, {
      method,
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (response.ok) return { kind: 'ok', body: parseJson(text) };
    const problem = describeRefusal(response.status, parseJson(text));
    if (!isForNow(response.status)) return { kind: 'refused', status: response.status, problem };
    return { kind: 'later', problem, afterMs: readRetryAfter(response.headers.get('retry-after')) };
  } catch (error) {
    return { kind: 'unreachable', problem: describeNoHub(http, error) };
  }
}

export function friendPath(user: string, friend: string, isOneway: boolean): string {
  const path = `/v1/users/${encodeURIComponent(user)}/friends/${encodeURIComponent(friend)}`;
  return isOneway ? `${path}?oneway=true` : path;
}

/** 500 is the hub's own fault, and what stands before a hub says 502 and 504 while the hub restarts. */
function isForNow(status: number): boolean {
  return status === 429 || status >= 500;
}

/** The `detail` of a problem says what to do; what is no hub has none. */
function describeRefusal(status: number, body: unknown): string {
  const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined;
  return typeof detail === 'string' ? detail : `it answered ${status}`;
}

function readRetryAfter(value: string | null): number | undefined {
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined;
}
