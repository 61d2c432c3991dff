/**
 * HTTP requests to the hub, with the token and a time limit. Every result is a value. Notifies `Access` of refusals,
 * and `UnreachableSince` of whether the hub answers. Validates no body.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { Access } from './access.ts';
import { hubPrefix, type HubRequest } from './request-line.ts';

const GIVE_UP_AFTER_MS = 8000;

export type Answer =
  | { readonly kind: 'answered'; readonly status: number; readonly text: string }
  /** 401 or 403: the page asks for another token. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unreachable' };

/** The time since which the hub has not answered, in epoch milliseconds of the page's clock; null while it answers. */
export type UnreachableSince = Signal<number | null>;

export interface Calls {
  readonly unreachableSince: UnreachableSince;
  send(request: HubRequest): Promise<Answer>;
}

export function createCalls(access: Access): Calls {
  const unreachableSince: UnreachableSince = createSignal<number | null>(null);
  let lastAnswerAt: number | undefined;
  return {
    unreachableSince,
    send: async ({ method, path }) => {
      const { token } = access;
      try {
        const response = await fetch(hubPrefix() + path, {
          method,
          ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
          cache: 'no-store',
          signal: AbortSignal.timeout(GIVE_UP_AFTER_MS),
        });
        const text = await response.text();
        lastAnswerAt = Date.now();
        unreachableSince.set(null);
        if (response.status === 401 || response.status === 403) {
          access.refuse(token, response.status, detailOf(text));
          return { kind: 'refused' };
        }
        return { kind: 'answered', status: response.status, text };
      } catch {
        if (unreachableSince.get() === null) unreachableSince.set(lastAnswerAt ?? Date.now());
        return { kind: 'unreachable' };
      }
    },
  };
}

/** Returns the `detail` of a problem; empty if the body is not a problem. */
export function detailOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined;
    return typeof detail === 'string' ? detail : '';
  } catch {
    return '';
  }
}
