/** Friend lists of the operator's own service, which alone edits them. */
import { CachedRoster, type CachedRosterOptions } from '../cached-roster.ts';
import type { ListEdits } from '../port.ts';
import type { RemoteLists } from '../remote.ts';
import { ListService, type ListServiceOptions } from './list-service.ts';

export function serviceLists(options: ListServiceOptions & Omit<CachedRosterOptions, 'source'>): RemoteLists {
  const service = new ListService(options);
  const roster = new CachedRoster({ ...options, source: service });
  const edits: ListEdits = {
    edit: () => Promise.reject(new Error('the friend lists belong to another service')),
    // Only the service can forget a user.
    erase: (_user, then) => then(),
    refresh: (user) => roster.refresh(user),
    stop: () => undefined,
  };
  return {
    roster,
    edits,
    areReadOnly: true,
    start: (listener) => {
      roster.start(listener);
    },
    stop: () => {
      roster.stop();
      service.stop();
      return Promise.resolve();
    },
  };
}
