/**
 * From a request to its route: one table of method and path, 404 for a path that is not in it, 405 for a method that a
 * path does not take, 403 for a foreign page that would change something. HEAD is GET. Knows no route by name.
 */
import type { HttpReply, HttpRequest } from '../sockets/port.ts';
import { problem } from './reply.ts';

/** A request that found its route. */
export interface Call {
  readonly request: HttpRequest;
  /** The path's `{names}`, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Segments, of which `{name}` stands for any one. Earlier routes win. */
  readonly path: string;
  readonly answer: (call: Call) => HttpReply | Promise<HttpReply>;
}

interface CompiledRoute extends Route {
  readonly segments: readonly string[];
}

type Router = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** `isOwnPage` judges the origin of a request that would change something. */
export function createRouter(routes: readonly Route[], isOwnPage: (request: HttpRequest) => boolean): Router {
  const compiled = routes.map((route) => ({ ...route, segments: route.path.split('/') }));
  return (request) => {
    const segments = decodePath(request.path);
    if (segments === undefined) return problem(400, 'path: must be percent-encoded UTF-8');
    const here = compiled.filter((route) => matches(route, segments));
    if (here.length === 0) return problem(404, `path: there is nothing at ${request.path}`);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = here.find((one) => one.method === method);
    if (route === undefined) return methodNotAllowed(request, here);
    if (method !== 'GET' && !isOwnPage(request)) {
      return problem(403, 'origin: a page of another origin may not change anything here');
    }
    const params = Object.fromEntries(
      route.segments.flatMap((name, i) => (isParam(name) ? [[name.slice(1, -1), segments[i] ?? '']] : [])),
    );
    return route.answer({ request, params, query: new URLSearchParams(request.query) });
  };
}

function methodNotAllowed(request: HttpRequest, here: readonly CompiledRoute[]): HttpReply {
  const methods = here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  const allow = [...new Set(methods)].join(', ');
  return problem(405, `method: ${request.path} takes ${allow}, not ${request.method}`, { allow });
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
