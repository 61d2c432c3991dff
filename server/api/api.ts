/**
 * HTTP as a whole: the routes of every group in one table, and the promise that no request brings the hub down or shows
 * its insides. The engines call `answer`; what they turn down by themselves they word with `refuse`.
 */
import type { Logger } from '../lib/log.ts';
import type { HttpReply, HttpRequest } from '../sockets/port.ts';
import { friendsRoutes, type FriendsRoutesOptions } from './friends-routes.ts';
import { operationsRoutes, type OperationsOptions } from './operations-routes.ts';
import { pageRoutes } from './pages.ts';
import { presenceRoutes, type PresenceRoutesOptions } from './presence-routes.ts';
import { problem } from './reply.ts';
import { createRouter } from './router.ts';

interface ApiOptions extends PresenceRoutesOptions, FriendsRoutesOptions, OperationsOptions {
  /** Whether a request comes from one of the hub's own pages, or from none. */
  readonly isOwnPage: (request: HttpRequest) => boolean;
  /** The folder of the built pages. */
  readonly pages: string;
  readonly log: Logger;
}

export interface Api {
  answer(request: HttpRequest): Promise<HttpReply>;
  refuse(status: 400 | 413 | 431): HttpReply;
  /** Why a WebSocket upgrade is not let in; undefined where it is. */
  admit(request: HttpRequest): HttpReply | undefined;
}

const WEBSOCKET_PATH = '/ws';

const refusals = {
  400: 'request: must be HTTP/1.1 of the right form',
  413: 'body: must be at most 256 KiB',
  431: 'headers: request line and headers must be at most 16 KiB together',
} as const;

export function createApi(options: ApiOptions): Api {
  const routes = [
    ...presenceRoutes(options),
    ...friendsRoutes(options),
    ...operationsRoutes(options),
    ...pageRoutes(options.pages),
  ];
  const route = createRouter(routes, options.isOwnPage);
  return {
    answer: async (request) => {
      try {
        return await route(request);
      } catch (error) {
        options.log.error({ err: error, method: request.method, path: request.path }, 'a request failed');
        return problem(500, 'the hub failed; it is not the request’s fault, try again');
      }
    },
    refuse: (status) => problem(status, refusals[status]),
    admit: (request) => {
      if (request.path !== WEBSOCKET_PATH) return problem(404, `path: WebSockets are at ${WEBSOCKET_PATH}`);
      if (!options.isOwnPage(request)) return problem(403, 'origin: a page of another origin may not connect');
      return undefined;
    },
  };
}
