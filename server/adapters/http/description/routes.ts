/**
 * `GET /openapi.json` and `GET /asyncapi.json`: what the hub offers, for programs. Both require no token and are printed on
 * the first request.
 */
import { json } from '../reply.ts';
import type { Route } from '../route.ts';
import { describeMessages } from './asyncapi.ts';
import { describeApi } from './openapi.ts';

/** `routes`: all other routes. */
export function descriptionRoutes(routes: readonly Route[]): Route[] {
  const own: Route[] = [
    describedAt('/openapi.json', () => describeApi([...routes, ...own])),
    describedAt('/asyncapi.json', describeMessages),
  ];
  return own;
}

function describedAt(path: string, describe: () => object): Route {
  let description: string | undefined;
  return {
    access: 'anyone',
    method: 'GET',
    path,
    answer: () => json((description ??= JSON.stringify(describe()))),
  };
}
