/**
 * HTTP to the hub: with the token, in bounded time, every end a value. Tells access who was refused and the link whether
 * the hub answers at all. Judges no body. Called by the scraper, explain and the kick.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { Access } from './access.ts';
import type { HubRequest } from './request-line.ts';

const GIVE_UP_AFTER_MS = 8000;

export type Answer =
  | { readonly kind: 'answered'; readonly status: number; readonly text: string }
  /** 401 or 403: the page asks for another token. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unreachable' };

/** Since when the hub has not answered; null while it does. Epoch ms on the page's clock. */
export type UnreachableSince = Signal<number | null>;

export interface Calls {
  readonly link: UnreachableSince;
  send(request: HubRequest): Promise<Answer>;
}

export function createCalls(access: Access): Calls {
  const link: UnreachableSince = createSignal<number | null>(null);
  let lastAnswerAt: number | undefined;
  return {
    link,
    send: async ({ method, path }) => {
      const { token } = access;
      try {
        const response = await fetch(path, {
          method,
          ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
          cache: 'no-store',
          signal: AbortSignal.timeout(GIVE_UP_AFTER_MS),
        });
        const text = await response.text();
        lastAnswerAt = Date.now();
        link.set(null);
        if (response.status === 401 || response.status === 403) {
          access.refuse(token, response.status, detailOf(text));
          return { kind: 'refused' };
        }
        return { kind: 'answered', status: response.status, text };
      } catch {
        if (link.get() === null) link.set(lastAnswerAt ?? Date.now());
        return { kind: 'unreachable' };
      }
    },
  };
}

/** The sentence of a problem; empty where the body is none. */
export function detailOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined;
    return typeof detail === 'string' ? detail : '';
  } catch {
    return '';
  }
}
