/**
 * The routes that the API serves, each with what it answers. Asks the API's own groups for their tables, so a route that
 * comes or goes shows here; the words stand beside it and must name the same routes. Called by print-reference.
 */
import { blocksRoutes } from '../../server/api/blocks-routes.ts';
import { friendsRoutes } from '../../server/api/friends-routes.ts';
import { operationsRoutes } from '../../server/api/operations-routes.ts';
import { presenceRoutes } from '../../server/api/presence-routes.ts';
import { sessionsRoutes } from '../../server/api/sessions-routes.ts';

const meanings: Readonly<Record<string, string>> = {
  'GET /v1/presence/{user}': 'an entry; a user never seen is `offline`, not a 404',
  'GET /v1/presence': '`?users=a,b,c`: `{"entries":[…]}` in the order asked, each once, at most 1000',
  'POST /v1/presence': 'the same, with the list in the body',
  'POST /v1/heartbeat': '`{"entry":…}`; user and device are the session. `"status":"offline"` ends it',
  'GET /v1/users/{user}/friends/presence': '`{"entries":[…]}` of the friends, sorted by id',
  'GET /v1/users/{user}/friends': '`{"user":"42","friends":["7","9"]}`, sorted',
  'PUT /v1/users/{user}/friends':
    '204; replaces the list, and ends both directions of what is dropped; `?oneway=true`: one',
  'PUT /v1/users/{user}/friends/{friend}':
    '204, also where they already are; `?oneway=true`: only `user` follows `friend`',
  'DELETE /v1/users/{user}/friends/{friend}': '204, also where they are not; ends both directions, `?oneway=true`: one',
  'POST /v1/friends/import':
    '`{"added":4}`, the edges that were not there; both directions, `?oneway=true`: one (an extension)',
  'PUT /v1/users/{user}/blocks/{other}': '204; `other` sees `user` as if it had left at that moment',
  'DELETE /v1/users/{user}/blocks/{other}': '204; `other` sees `user` as it is again, with a larger `v`',
  'GET /v1/users/{user}/explain': '(admin) why the user is shown as it is, see below',
  'DELETE /v1/users/{user}/sessions/{session}': '(admin) 204; ends the session at once; 404 for one that is not there',
  'GET /healthz': '200 while the process serves',
  'GET /readyz': '200, or 503 whose `detail` names the failing part',
  'GET /metrics': 'Prometheus text, see below',
};

/** `METHOD /path` and its meaning, in the order of the API's own table. */
export function describeRoutes(): readonly (readonly [route: string, meaning: string])[] {
  // Only the tables are looked at and no route is called, so there need be nothing behind them.
  const nothing = {} as never;
  const groups = [
    presenceRoutes(nothing),
    friendsRoutes(nothing),
    blocksRoutes(nothing),
    sessionsRoutes(nothing),
    operationsRoutes(nothing),
  ];
  const routes = groups.flat().map(({ method, path }) => `${method} ${path}`);
  const gone = Object.keys(meanings).find((route) => !routes.includes(route));
  if (gone !== undefined) throw new Error(`the API has no route ${gone} any more: take its words out of the reference`);
  return routes.map((route) => {
    const meaning = meanings[route];
    if (meaning === undefined) throw new Error(`the reference has no words for the route ${route}`);
    return [`\`${route}\``, meaning];
  });
}
