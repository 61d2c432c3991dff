/**
 * The HTTP API: the routes of every group in one table, the pages that may use it, and the guarantee that no request
 * stops the hub or reveals its internals. The engines call `answer`, and word their own refusals with `refuse`.
 */
import type { RefusalReason } from '../../../shared/reasons.ts';
import type { Logger } from '../../lib/log/log.ts';
import type { ExplainRefusal } from '../../lib/log/refusal-log.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Roster } from '../../roster/port.ts';
import type { HttpReply, HttpRequest, ConnectionLimit } from '../../sockets/port.ts';
import { blocksRoutes, type BlocksRoutesOptions } from './routes/blocks-routes.ts';
import { Callers, type CallersOptions } from './callers.ts';
import { friendsRoutes, type FriendsRoutesOptions } from './routes/friends-routes.ts';
import { descriptionRoutes } from './description/routes.ts';
import { operationsRoutes, type OperationsOptions } from './routes/operations-routes.ts';
import { sessionsRoutes, type SessionsRoutesOptions } from './routes/sessions-routes.ts';
import type { PageRules } from './routes/own-pages.ts';
import { pageRoutes } from './routes/pages.ts';
import { historyRoutes, type HistoryRoutesOptions } from './routes/history-routes.ts';
import { listRoutes, type ListRoutesOptions } from './routes/list-routes.ts';
import { presenceRoutes, type PresenceRoutesOptions } from './routes/presence-routes.ts';
import { userRoutes, type UserRoutesOptions } from './routes/user-routes.ts';
import { webhooksRoutes, type WebhooksRoutesOptions } from './routes/webhooks-routes.ts';
import { unavailable } from './durably.ts';
import { problem, secureHeaders } from './reply.ts';
import type { Reply } from './route.ts';
import { createRouter } from './router.ts';

export interface ApiOptions
  extends
    CallersOptions,
    PresenceRoutesOptions,
    ListRoutesOptions,
    HistoryRoutesOptions,
    FriendsRoutesOptions,
    BlocksRoutesOptions,
    SessionsRoutesOptions,
    UserRoutesOptions,
    WebhooksRoutesOptions,
    OperationsOptions {
  readonly roster: Pick<Roster, 'load' | 'friendsOf'>;
  /** Which pages may use the hub. */
  readonly pageRules: PageRules;
  readonly isTls: boolean;
  /** The folder of the built pages. */
  readonly pages: string;
  readonly log: Logger;
  readonly onRefused: (reason: RefusalReason) => void;
  /** Explains a WebSocket upgrade that is refused. */
  readonly explainUpgrade: ExplainRefusal;
}

export interface Api {
  /** Never rejects. */
  answer(request: HttpRequest): Reply;
  refuse(status: keyof typeof refusals): HttpReply;
  /** Returns why a WebSocket upgrade is refused; undefined if it is admitted. */
  admit(request: HttpRequest): HttpReply | undefined;
}

const WEBSOCKET_PATH = '/ws';
/** The version that is sent to a client that speaks another (RFC 6455, section 4.4). */
const OUR_VERSION = { 'sec-websocket-version': '13' };
/** The paths of probes, which may use any host name. A foreign page would learn nothing from them. */
const forAnyHost: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** The paths that are answered even when the hub is full, so that monitoring does not report it as dead. */
const forMonitoring: ReadonlySet<string> = new Set([...forAnyHost, '/metrics']);

const refusals = {
  400: { code: 'bad_request', detail: 'request: must be well-formed HTTP/1.1, without a PROXY header before it' },
  413: { code: 'too_large', detail: 'body: must be at most 256 KiB' },
  426: { code: 'upgrade_required', detail: 'sec-websocket-version: must be 13' },
  431: { code: 'headers_too_large', detail: 'headers: request line and headers must be at most 16 KiB together' },
} as const;

export function createApi(options: ApiOptions): Api {
  const { pageRules, onRefused, log } = options;
  const calls = [
    ...presenceRoutes(options),
    ...listRoutes(options),
    ...friendsRoutes(options),
    ...blocksRoutes(options),
    ...sessionsRoutes(options),
    ...userRoutes(options),
    ...historyRoutes(options),
    ...webhooksRoutes(options),
    ...operationsRoutes(options),
  ];
  const routes = [...calls, ...descriptionRoutes(calls), ...pageRoutes(options.pages)];
  const route = createRouter(routes, {
    pageRules,
    callers: new Callers(options),
    turns: options.turns,
    onRefused,
    onAdminChange: (change) => {
      log.info(change, 'audit: an admin’s change');
    },
  });
  const failed = ({ method, path }: HttpRequest, error: unknown): HttpReply => {
    if (error instanceof StorageUnavailable) return unavailable(error, 'nothing could be read');
    log.error({ err: error, method, path }, 'a request failed');
    return problem('internal', 'the hub failed, not because of the request; try again');
  };
  const attempt = (request: HttpRequest): Reply => {
    const { exceededLimit } = request;
    if (exceededLimit !== undefined && !forMonitoring.has(request.path)) {
      onRefused(exceededLimit);
      return overLimit(exceededLimit);
    }
    try {
      const reply = route(request);
      return reply instanceof Promise ? reply.catch((error: unknown) => failed(request, error)) : reply;
    } catch (error) {
      return failed(request, error);
    }
  };
  const gate = createPageGate(options);
  const secure = secureHeaders(options.isTls);
  return {
    answer: (request) => {
      const reply = gate.refuseRequest(request) ?? attempt(request);
      const headers = { ...secure, ...pageRules.corsHeaders(request) };
      const finished = (done: HttpReply): HttpReply => dressed(withLoggedRest(done, request, log), headers);
      return reply instanceof Promise ? reply.then(finished) : finished(reply);
    },
    refuse: (status) => {
      const headers = status === 426 ? { upgrade: 'websocket', ...OUR_VERSION } : undefined;
      return dressed(problem(refusals[status].code, refusals[status].detail, headers), secure);
    },
    admit: (request) => {
      const refusal = gate.refuseUpgrade(request);
      return refusal && dressed(refusal, secure);
    },
  };
}

/** Refuses requests under a foreign host name, and WebSockets of foreign pages. Each is explained in the log. */
function createPageGate({ pageRules, onRefused, explainRefusal, explainUpgrade }: ApiOptions) {
  const refuseOrigin = (detail: string): HttpReply => {
    onRefused('origin');
    return problem('foreign_page', detail);
  };
  const refuseHost = (request: HttpRequest, explain: ExplainRefusal): HttpReply | undefined => {
    if (pageRules.isKnownHost(request)) return undefined;
    explain('host', UNKNOWN_HOST, namesOf(request));
    return refuseOrigin(
      'host: this hub is in open mode and only answers under localhost and HUB_HOST: add https://NAME to HUB_ORIGINS',
    );
  };
  return {
    refuseRequest: (request: HttpRequest): HttpReply | undefined => {
      const refusal = forAnyHost.has(request.path)
        ? undefined
        : (refuseHost(request, explainRefusal) ?? askForUpgrade(request));
      // For a foreign GET, the browser withholds the answer from the page, so it is only explained in the log.
      if (refusal === undefined && request.headers.has('origin') && !pageRules.isAllowed(request)) {
        explainRefusal('origin', OTHER_ORIGIN, namesOf(request));
      }
      return refusal;
    },
    refuseUpgrade: (request: HttpRequest): HttpReply | undefined => {
      const refusal = refuseHost(request, explainUpgrade);
      if (refusal !== undefined) return refusal;
      if (request.path !== WEBSOCKET_PATH) return problem('not_found', `path: WebSockets are at ${WEBSOCKET_PATH}`);
      if (pageRules.isAllowed(request)) return undefined;
      explainUpgrade('origin', OTHER_ORIGIN, namesOf(request));
      return refuseOrigin('origin: pages of this origin may not connect: add the origin to HUB_ORIGINS');
    },
  };
}

const UNKNOWN_HOST =
  'request rejected: in open mode the hub does not answer under this host name; set HUB_HOST to it, or add https://NAME to HUB_ORIGINS';
const OTHER_ORIGIN =
  'page of another origin rejected: add its origin to HUB_ORIGINS; if a proxy changes the Host header, let the proxy keep the original one';

function overLimit(limit: ConnectionLimit): HttpReply {
  const whose = limit === 'per_address' ? 'from your address' : 'in all';
  return problem('no_room', `connection: the hub has the maximum number of connections ${whose}; try again later`, {
    'retry-after': '5',
  });
}

function namesOf({ headers }: HttpRequest): Record<string, string> {
  return { origin: headers.get('origin') ?? 'none', host: headers.get('host') ?? 'none' };
}

/** Answers a plain HTTP request for the WebSocket path. */
function askForUpgrade({ path }: HttpRequest): HttpReply | undefined {
  if (path !== WEBSOCKET_PATH) return undefined;
  return problem('upgrade_required', `upgrade: ${WEBSOCKET_PATH} is a WebSocket: ask for an upgrade to one`, {
    upgrade: 'websocket',
    connection: 'Upgrade',
    ...OUR_VERSION,
  });
}

/** Logs a failure after the answer has begun, which the client notices only as a cut connection. */
function withLoggedRest(reply: HttpReply, { method, path }: HttpRequest, log: Logger): HttpReply {
  const { rest } = reply;
  if (rest === undefined) return reply;
  const next = async (): Promise<string | undefined> => {
    try {
      return await rest.next();
    } catch (error) {
      log.error({ err: error, method, path }, 'an answer was cut off, because the rest of it could not be read');
      throw error;
    }
  };
  return { ...reply, rest: { next, close: () => rest.close() } };
}

function dressed(reply: HttpReply, headers: Readonly<Record<string, string>>): HttpReply {
  return { ...reply, headers: { ...reply.headers, ...headers } };
}
