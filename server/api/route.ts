/**
 * What a route is. One that asks who calls can't be written without its rule: `judge` alone leads to its answer, and
 * `route` builds it out of what permission is about, who may, and what is then answered. The order is the same for all:
 * the ids' form (400, alike for everyone), permission (401, 403), and then the rest.
 */
import type { Identity } from '../auth/identity.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { HttpReply, HttpRequest } from '../sockets/port.ts';

export type Reply = HttpReply | Promise<HttpReply>;

/** A request that found its route, by somebody who is known. */
export interface Call {
  readonly request: HttpRequest;
  /** The path's `{names}`, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly identity: Identity;
  /** Who looks: on it depends what of an entry is shown. */
  readonly viewer: Viewer;
  /** Counts what the answer costs for so many users against the caller's rate. */
  readonly chargeFor: (users: number) => void;
}

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reply: HttpReply };

interface Place {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Segments, of which `{name}` stands for any one. Earlier routes win. */
  readonly path: string;
}

/** Asks for nothing: no token is looked at, nothing is counted. */
interface OpenRoute extends Place {
  readonly access: 'anyone';
  readonly answer: () => Reply;
}

export interface JudgedRoute extends Place {
  readonly access: 'judged';
  /** In open mode it is a script's bulk work: counted apart, and by its size alone. */
  readonly isBulk: boolean;
  readonly judge: (call: Call) => Judgement;
}

export type Route = OpenRoute | JudgedRoute;

type Judgement =
  | { readonly kind: 'bad'; readonly reply: HttpReply }
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'granted'; readonly answer: () => Reply };

interface Rule<About> extends Place {
  readonly isBulk?: boolean;
  /** Reads whom the call is about: the ids that permission depends on. */
  readonly about: (call: Call) => Read<About>;
  /** How many users it names: counted before each of them is looked at. */
  readonly usersIn?: (about: About) => number;
  /** Never asks whether a user exists, so that a refusal can't tell. */
  readonly may: (identity: Identity, about: About) => boolean;
  readonly answer: (call: Call, about: About) => Reply;
}

export function route<About>({ method, path, isBulk = false, about, usersIn, may, answer }: Rule<About>): Route {
  return {
    access: 'judged',
    method,
    path,
    isBulk,
    judge: (call) => {
      const read = about(call);
      if (!read.ok) return { kind: 'bad', reply: read.reply };
      if (usersIn !== undefined) call.chargeFor(usersIn(read.value));
      if (!may(call.identity, read.value)) return { kind: 'forbidden' };
      return { kind: 'granted', answer: () => answer(call, read.value) };
    },
  };
}

/** For a route that is about nobody in particular. */
export function aboutNobody(): Read<null> {
  return { ok: true, value: null };
}
