/**
 * Finds the route of a request in one table of method and path: 404 for an unknown path, 405 for a method that the path
 * does not take, 403 for a change by a foreign page. Then identifies the caller and checks permission. HEAD is treated
 * as GET. Knows no route by name.
 */
import { USERS_PER_UNIT } from '../../../shared/limits.ts';
import type { RefusalReason } from '../../../shared/reasons.ts';
import { viewerOf, type Identity } from '../../auth/identity.ts';
import { mayEditLists } from '../../auth/policy.ts';
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { HttpReply, HttpRequest } from '../../sockets/port.ts';
import type { Callers } from './callers.ts';
import type { PageRules } from './routes/own-pages.ts';
import { noContent, problem } from './reply.ts';
import type { JudgedRoute, Judgement, Reply, Route } from './route.ts';

type CompiledRoute = Route & { readonly segments: readonly string[] };

interface RouterOptions {
  readonly pageRules: PageRules;
  readonly callers: Callers;
  /** The budget of one loop turn for long work. */
  readonly turns: Pick<TurnBudget, 'take'>;
  readonly onRefused: (reason: RefusalReason) => void;
  /** Receives each change that the named token of an admin, or of an editor of friend lists, was allowed to make. */
  readonly onAdminChange: (change: AdminChange) => void;
}

interface AdminChange {
  readonly token: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly status: number;
}

/**
 * In units of `TurnBudget`: about 40 µs for a request, and more for its content. Each id in it may have to be looked up
 * in storage, which costs 10 µs, before the permission is known.
 */
const REQUEST_COST = 10;
const CHARS_A_UNIT = 4;
/**
 * A request without a token is answered at once up to this size, so that uWebSockets.js serves the requests pipelined
 * behind it.
 */
const SMALL_CHARS = 1024;

const FOREIGN_PAGE = 'origin: pages of this origin may not change anything here: add the origin to HUB_ORIGINS';

type Router = (request: HttpRequest) => Reply;

export function createRouter(
  routes: readonly Route[],
  { pageRules, callers, turns, onRefused, onAdminChange }: RouterOptions,
): Router {
  const compiled = routes.map((route) => ({ ...route, segments: route.path.split('/') }));
  const call = (route: JudgedRoute, params: Readonly<Record<string, string>>, request: HttpRequest): Reply => {
    const go = (identity: Identity): Reply => {
      const query = new URLSearchParams(request.query);
      const chargeFor = (users: number): void => {
        callers.charge(identity, request, route.isBulk, users / USERS_PER_UNIT);
      };
      const apply = (judgement: Judgement): Reply => {
        switch (judgement.kind) {
          case 'bad':
            return judgement.reply;
          case 'forbidden':
            return callers.refuse(identity);
          case 'granted':
            if (route.isLong) return callers.runLong(identity, request, route.isBulk, judgement.answer);
            return route.isAudited ? audited(identity, request, judgement.answer(), onAdminChange) : judgement.answer();
          default:
            return judgement satisfies never;
        }
      };
      const judged = route.judge({ request, params, query, identity, viewer: viewerOf(identity), chargeFor });
      return judged instanceof Promise ? judged.then(apply) : apply(judged);
    };
    const caller = callers.identify(request, route.isBulk);
    const chars = request.body.length + request.query.length;
    const cost = REQUEST_COST + chars / CHARS_A_UNIT;
    if (caller instanceof Promise) {
      return caller.then(async (late) => {
        if (!late.ok) return late.reply;
        // Many tokens may be verified in one turn.
        await turns.take(cost);
        return callers.refuseInDebt(late.identity, request, route.isBulk) ?? go(late.identity);
      });
    }
    if (!caller.ok) return caller.reply;
    const turn = chars > SMALL_CHARS ? turns.take(cost) : undefined;
    if (turn === undefined) return go(caller.identity);
    return turn.then(() => callers.refuseInDebt(caller.identity, request, route.isBulk) ?? go(caller.identity));
  };
  return (request) => {
    const segments = decodePath(request.path);
    if (segments === undefined) return problem('bad_request', 'path: must be percent-encoded UTF-8');
    const here = compiled.filter((route) => matches(route, segments));
    if (here.length === 0) return problem('not_found', `path: there is nothing at ${request.path}`);
    if (pageRules.isPreflight(request)) return preflight(here);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = here.find((one) => one.method === method);
    if (route === undefined) return methodNotAllowed(request, here);
    if (method !== 'GET' && !pageRules.isAllowed(request)) {
      onRefused('origin');
      return problem('foreign_page', FOREIGN_PAGE);
    }
    return route.access === 'anyone' ? route.answer() : call(route, paramsOf(route, segments), request);
  };
}

/** Reports what became of a change by the named token of an admin, or of an editor of friend lists. */
function audited(
  identity: Identity,
  { method, path, query }: HttpRequest,
  reply: Reply,
  onAdminChange: RouterOptions['onAdminChange'],
): Reply {
  const { tokenName: token } = identity;
  if (token === undefined || !mayEditLists(identity)) return reply;
  const note = (done: HttpReply): HttpReply => {
    onAdminChange({ token, method, path: query === '' ? path : `${path}?${query}`, status: done.status });
    return done;
  };
  return reply instanceof Promise ? reply.then(note) : note(reply);
}

/**
 * Answers the question that a browser sends before it lets a page of a listed origin send a token or change anything.
 */
function preflight(here: readonly CompiledRoute[]): HttpReply {
  const { status, headers, body } = noContent();
  const allowed = {
    'access-control-allow-methods': methodsOf(here).join(', '),
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-max-age': '600',
  };
  return { status, headers: { ...headers, ...allowed }, body };
}

function methodNotAllowed(request: HttpRequest, here: readonly CompiledRoute[]): HttpReply {
  const allow = methodsOf(here).join(', ');
  return problem('method_not_allowed', `method: ${request.path} takes ${allow}, not ${request.method}`, { allow });
}

function methodsOf(here: readonly CompiledRoute[]): string[] {
  return [...new Set(here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))];
}

function paramsOf({ segments: names }: CompiledRoute, segments: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name, i) => (isParam(name) ? [[name.slice(1, -1), segments[i] ?? '']] : [])),
  );
}

function matches({ segments: wanted }: CompiledRoute, segments: readonly string[]): boolean {
  return (
    wanted.length === segments.length &&
    wanted.every((name, i) => (isParam(name) ? segments[i] !== '' : name === segments[i]))
  );
}

function isParam(segment: string): boolean {
  return segment.startsWith('{');
}

function decodePath(path: string): readonly string[] | undefined {
  try {
    return path.split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
