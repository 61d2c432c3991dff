/**
 * The routes that the API serves, each with what it answers. Asks the API's own groups for their tables, so a route that
 * comes or goes shows here; its words stand in the API’s own description, and must name the same routes. Called by print-reference.
 */
import { blocksRoutes } from '../../server/adapters/http/routes/blocks-routes.ts';
import { friendsRoutes } from '../../server/adapters/http/routes/friends-routes.ts';
import { descriptionRoutes } from '../../server/adapters/http/description/routes.ts';
import { routeWords } from '../../server/adapters/http/description/route-words.ts';
import { operationsRoutes } from '../../server/adapters/http/routes/operations-routes.ts';
import { historyRoutes } from '../../server/adapters/http/routes/history-routes.ts';
import { listRoutes } from '../../server/adapters/http/routes/list-routes.ts';
import { presenceRoutes } from '../../server/adapters/http/routes/presence-routes.ts';
import { sessionsRoutes } from '../../server/adapters/http/routes/sessions-routes.ts';
import { userRoutes } from '../../server/adapters/http/routes/user-routes.ts';
import { webhooksRoutes } from '../../server/adapters/http/routes/webhooks-routes.ts';

/** `METHOD /path` and its meaning, in the order of the API's own table. */
export function describeRoutes(): readonly (readonly [route: string, meaning: string])[] {
  // Only the tables are looked at and no route is called, so there need be nothing behind them.
  const nothing = {} as never;
  const groups = [
    presenceRoutes(nothing),
    listRoutes(nothing),
    friendsRoutes(nothing),
    blocksRoutes(nothing),
    sessionsRoutes(nothing),
    userRoutes(nothing),
    historyRoutes(nothing),
    webhooksRoutes(nothing),
    operationsRoutes(nothing),
    descriptionRoutes([]),
  ];
  const routes = groups.flat().map(({ method, path }) => `${method} ${path}`);
  const gone = Object.keys(routeWords).find((route) => !routes.includes(route));
  if (gone !== undefined) throw new Error(`the API has no route ${gone} any more: take its words out of the reference`);
  return routes.map((route) => {
    const meaning = routeWords[route]?.says;
    if (meaning === undefined) throw new Error(`the reference has no words for the route ${route}`);
    return [`\`${route}\``, meaning];
  });
}
