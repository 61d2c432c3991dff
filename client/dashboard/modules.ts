/** The modules of this page that the view uses, built and joined once. Contains no logic of its own. */
import { Access } from './hub/access.ts';
import { createCalls, type Calls } from './hub/calls.ts';
import { createScraper, type Scraper } from './hub/scraper.ts';
import { TailSocket } from './hub/tail-socket.ts';
import { createExplainUser, type ExplainUser } from './explain/explain-user.ts';
import { History } from './metrics/history.ts';
import { createTail, type Tail } from './tail/tail.ts';

export interface Modules {
  readonly access: Access;
  readonly calls: Calls;
  readonly history: History;
  readonly scraper: Scraper;
  readonly socket: TailSocket;
  readonly tail: Tail;
  readonly explain: ExplainUser;
}

export function buildModules(): Modules {
  const access = new Access();
  const calls = createCalls(access);
  const history = new History();
  const scraper = createScraper(access, calls, history);
  const explain = createExplainUser(access, calls);
  const tail = createTail((match) => {
    socket.match(match);
  });
  const socket = new TailSocket({
    access,
    unreachableSince: calls.unreachableSince,
    onChanges: (changes, skipped) => {
      tail.add(changes, skipped);
      explain.receive(changes);
    },
  });
  return { access, calls, history, scraper, socket, tail, explain };
}
