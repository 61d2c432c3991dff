/** Who may: the rows of the contract, for everybody who may come. */
import { describe, expect, it } from 'vitest';
import {
  everyone,
  everyoneButAdmin,
  everyoneButMetrics,
  metricsReader,
  staticAdmin,
  type Identity,
  type Scope,
} from '../../../server/auth/identity.ts';
import * as policy from '../../../server/auth/policy.ts';

const bearer = (user: string | null, ...scopes: Scope[]): Identity => ({
  user,
  scopes: new Set(scopes),
  expiresAtMs: null,
  isOpen: false,
});

const who = {
  anybodyInOpenMode: everyone,
  anybodyBesideAnAdminToken: everyoneButAdmin,
  anybodyBesideAMetricsToken: everyoneButMetrics,
  user42: bearer('42'),
  observer: bearer(null, 'observe'),
  observingUser42: bearer('42', 'observe'),
  adminUser42: bearer('42', 'admin'),
  staticAdmin,
  metricsReader,
  reader: bearer(null, 'read'),
  rosterEditor: bearer(null, 'roster'),
};
type Who = keyof typeof who;

// 42 has 7 in its list; 8 has 42 in its own, but not the other way round.
const edges = new Set(['42 7', '8 42']);
const isFriend: policy.IsFriend = (user, other) => edges.has(`${user} ${other}`);

const open: Who[] = ['anybodyInOpenMode', 'anybodyBesideAnAdminToken', 'anybodyBesideAMetricsToken'];
const admins: Who[] = ['anybodyInOpenMode', 'anybodyBesideAMetricsToken', 'adminUser42', 'staticAdmin'];
const readers: Who[] = [...admins, 'reader'];
const editors: Who[] = [...admins, 'rosterEditor'];
const observers: Who[] = [...open, 'observer', 'observingUser42'];
const being42: Who[] = ['user42', 'observingUser42', 'adminUser42'];
const all = Object.keys(who) as Who[];

type Question = (identity: Identity) => boolean;
const watches =
  (...users: string[]): Question =>
  (identity) =>
    policy.mayWatchUsers(identity, users, isFriend);
const reads =
  (...users: string[]): Question =>
  (identity) =>
    policy.mayReadPresence(identity, users, isFriend);

describe.each<[string, Question, Who[]]>([
  ['be 42 on a connection', (one) => policy.mayClaim(one, '42'), [...open, ...being42]],
  ['be 9 on a connection', (one) => policy.mayClaim(one, '9'), open],
  ['send a heartbeat for 42', (one) => policy.mayHeartbeat(one, '42'), [...open, ...admins, ...being42]],
  ['send a heartbeat for 9', (one) => policy.mayHeartbeat(one, '9'), [...open, ...admins]],
  ['watch the friends of 42', (one) => policy.mayWatchFriendsOf(one, '42'), [...observers, ...being42]],
  ['watch the friends of its friend 7', (one) => policy.mayWatchFriendsOf(one, '7'), observers],
  ['watch the friends of 9', (one) => policy.mayWatchFriendsOf(one, '9'), observers],
  ['watch 42', watches('42'), [...observers, ...being42]],
  ['watch 7, a friend of 42', watches('7'), [...observers, ...being42]],
  ['watch 42 and 7', watches('42', '7'), [...observers, ...being42]],
  ['watch 8, who follows 42', watches('8'), observers],
  ['watch 9', watches('9'), observers],
  ['watch 7 and 9', watches('7', '9'), observers],
  ['watch 9 and 7', watches('9', '7'), observers],
  ['read 42 and 7', reads('42', '7'), [...observers, ...readers, ...being42]],
  ['read 9', reads('9'), [...observers, ...readers]],
  ['read 42, 7 and 9', reads('42', '7', '9'), [...observers, ...readers]],
  ['read the list of 42', (one) => policy.mayReadFriends(one, '42'), all.filter((one) => one !== 'metricsReader')],
  ['read the list of 7', (one) => policy.mayReadFriends(one, '7'), [...observers, ...readers, ...editors]],
  ['read the friends’ presence of 7', (one) => policy.mayReadFriendsPresence(one, '7'), [...observers, ...readers]],
  ['drop a friend of 42', (one) => policy.mayEditFriends(one, '42', 'drop'), [...editors, ...being42]],
  ['drop 42 from the list of 8', (one) => policy.mayEditFriends(one, '8', 'drop'), editors],
  ['change the list of 42 otherwise', (one) => policy.mayEditFriends(one, '42', 'change'), editors],
  ['block somebody for 42', (one) => policy.mayBlock(one, '42'), [...open, ...admins, ...being42]],
  ['block somebody for 9', (one) => policy.mayBlock(one, '9'), [...open, ...admins]],
  ['do what is an admin’s', policy.mayAdmin, admins],
  [
    'read the metrics',
    policy.mayReadMetrics,
    [...readers, 'metricsReader' as const].filter((one) => one !== 'anybodyBesideAMetricsToken'),
  ],
  ['list who is present', policy.mayList, [...readers, 'observer', 'observingUser42']],
  ['have a user explained', (one) => policy.mayExplain(one, false), readers],
  ['have a user explained where lastSeen is hidden', (one) => policy.mayExplain(one, true), admins],
])('may %s', (_what, may, those) => {
  it.each(all)('%s', (one) => {
    expect(may(who[one])).toBe(those.includes(one));
  });
});

describe('a user that is nobody’s friend', () => {
  it('is refused alike whether it is known or not: only the asker’s own list is looked at', () => {
    const asked: string[] = [];
    const looksUp: policy.IsFriend = (user, other) => {
      asked.push(`${user} ${other}`);
      return false;
    };
    expect(policy.mayWatchUsers(bearer('42'), ['9'], looksUp)).toBe(false);
    expect(policy.mayReadPresence(bearer('42'), ['never-seen'], looksUp)).toBe(false);
    expect(asked).toEqual(['42 9', '42 never-seen']);
  });
});
