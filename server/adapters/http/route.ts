/**
 * What a route is. A route with an access check cannot be written without its rule: its answer is reachable only
 * through `judge`, and `route` builds that from the subject of the request, the rule and the answer. The order is the
 * same for all: the form of the ids (400, alike for all callers), permission (401, 403), then the rest.
 */
import type { Identity } from '../../auth/identity.ts';
import type { Viewer } from '../../presence/viewer.ts';
import type { HttpReply, HttpRequest } from '../../sockets/port.ts';

export type Reply = HttpReply | Promise<HttpReply>;

/** A request that matched a route, by a known caller. */
export interface Call {
  readonly request: HttpRequest;
  /** The path's `{names}`, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly identity: Identity;
  /** The viewer, who determines which parts of an entry are shown. */
  readonly viewer: Viewer;
  /** Charges the cost of this many users to the caller's rate. */
  readonly chargeFor: (users: number) => void;
}

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reply: HttpReply };

interface Place {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path segments. `{name}` matches any one segment. Earlier routes win. */
  readonly path: string;
}

/** Requires no token and counts nothing. */
interface OpenRoute extends Place {
  readonly access: 'anyone';
  readonly answer: () => Reply;
}

export interface JudgedRoute extends Place {
  readonly access: 'judged';
  /** In open mode this is a script's bulk work, counted separately and by its size only. */
  readonly isBulk: boolean;
  /** What it costs is known, and charged, only once it has begun. */
  readonly isLong: boolean;
  /** A change that is logged with the token of the admin who makes it. */
  readonly isAudited: boolean;
  readonly judge: (call: Call) => Judgement | Promise<Judgement>;
}

export type Route = OpenRoute | JudgedRoute;

export type Judgement =
  | { readonly kind: 'bad'; readonly reply: HttpReply }
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'granted'; readonly answer: () => Reply };

interface Rule<About> extends Place {
  readonly isBulk?: boolean;
  readonly isLong?: boolean;
  readonly isAudited?: boolean;
  /** Reads the ids on which the permission depends. */
  readonly about: (call: Call) => Read<About>;
  /** The number of users that the request names. It is charged before any of them is looked up. */
  readonly usersIn?: (about: About) => number;
  /** Loads what the permission depends on. Undefined if that is known. */
  readonly load?: (identity: Identity) => Promise<void> | undefined;
  /** Never checks whether a user exists, so that a refusal does not reveal it. */
  readonly may: (identity: Identity, about: About) => boolean;
  readonly answer: (call: Call, about: About) => Reply;
}

export function route<About>(rule: Rule<About>): Route {
  const { method, path, isBulk = false, isLong = false, isAudited = false, about, usersIn, load, may, answer } = rule;
  return {
    access: 'judged',
    method,
    path,
    isBulk,
    isLong,
    isAudited,
    judge: (call) => {
      const read = about(call);
      if (!read.ok) return { kind: 'bad', reply: read.reply };
      if (usersIn !== undefined) call.chargeFor(usersIn(read.value));
      const decide = (): Judgement =>
        may(call.identity, read.value)
          ? { kind: 'granted', answer: () => answer(call, read.value) }
          : { kind: 'forbidden' };
      const loaded = load?.(call.identity);
      return loaded === undefined ? decide() : loaded.then(decide);
    },
  };
}

export function aboutNobody(): Read<null> {
  return { ok: true, value: null };
}
