/**
 * Error codes, close codes and reasons of bad frames, each with its meaning. The protocol reference is printed from
 * these tables, and shared/ERRORS.md explains each code. An error leaves the connection open; a close ends it.
 */

/** The page that explains a code is at this path of the hub, followed by the code. */
export const ERROR_PAGES = '/docs/errors/';

export const errorCodes = {
  bad_message: 'Not JSON, or not in the form of its type; `message` names the field.',
  hello_first:
    'A message came before `hello`: send `hello`, then the message again. Or no `hello` came in time, and 4408 follows.',
  unauthenticated: 'The token is missing, wrong or has expired.',
  forbidden: 'The client may not do that.',
  too_many: 'More watches, sessions or friends than the hub allows.',
  rate_limited: 'Too many messages; slow down.',
  unknown_type: 'The hub knows no message of that `type`.',
  unavailable:
    'The token can’t be checked now: its key can’t be fetched, it is not valid yet, or too many bad tokens came from the address. This is not a refusal: try again.',
  internal: 'The hub failed; the client did not cause it. Try again.',
} as const;
export type ErrorCode = keyof typeof errorCodes;

/** Errors over HTTP. The `type` of the answer is the address of the page that explains the code. */
export const problemCodes = {
  bad_request: { status: 400, meaning: 'A bad id, parameter, body or list; adding or blocking yourself.' },
  unauthenticated: { status: 401, meaning: 'The token is missing, wrong or has expired.' },
  forbidden: { status: 403, meaning: 'The token does not allow it.' },
  foreign_page: { status: 403, meaning: 'The page’s origin or the host name does not allow it.' },
  not_found: { status: 404, meaning: 'No such path, session or webhook rule.' },
  turned_off: { status: 404, meaning: 'History or webhooks are turned off.' },
  method_not_allowed: { status: 405, meaning: 'No such method on that path; `allow` lists those that are.' },
  too_many_friends: { status: 409, meaning: 'More friends or blocks than `HUB_MAX_FRIENDS`.' },
  too_large: {
    status: 413,
    meaning: 'A body over 256 KiB (2 MiB more are read and discarded, then the connection is cut).',
  },
  upgrade_required: { status: 426, meaning: '`/ws` is a WebSocket.' },
  rate_limited: { status: 429, meaning: 'Too many requests; `retry-after` says when to try again.' },
  too_many_sessions: {
    status: 429,
    meaning: 'The user, or the hub, has its maximum number of sessions; with `retry-after`.',
  },
  headers_too_large: { status: 431, meaning: 'Request line and headers over 16 KiB.' },
  internal: { status: 500, meaning: 'The hub failed; the request did not cause it.' },
  not_implemented: { status: 501, meaning: 'A cluster can’t do it without a database.' },
  unavailable: { status: 503, meaning: 'The token can’t be checked now; with `retry-after`.' },
  storage_failed: { status: 503, meaning: 'Storage can’t accept it now; with `retry-after`.' },
  no_room: { status: 503, meaning: 'The hub has its maximum number of connections; with `retry-after`.' },
  not_ready: { status: 503, meaning: '`/readyz`: a part of the hub fails.' },
} as const;
export type ProblemCode = keyof typeof problemCodes;

export const closeCodes = {
  normal: { code: 1000, meaning: 'The client said `bye`.' },
  policy: { code: 1008, meaning: 'Policy: the client broke a rule that has no code of its own.' },
  tooLarge: { code: 1009, meaning: 'A message over 16 KiB; beyond 2 MiB the connection may just be cut.' },
  restarting: { code: 1012, meaning: 'The hub is shutting down or restarting: reconnect.' },
  overloaded: { code: 1013, meaning: 'The hub is full: reconnect later.' },
  slowReader: { code: 1013, meaning: 'The client read too slowly: reconnect later.' },
  keysUnavailable: { code: 1013, meaning: 'The keys that check the token can’t be fetched now: reconnect later.' },
  earlyToken: { code: 1013, meaning: 'The token is not valid yet, because two clocks differ: reconnect later.' },
  peersUnavailable: { code: 1013, meaning: 'The other hubs can’t be asked now: reconnect later.' },
  badTokens: { code: 1013, meaning: 'Too many bad tokens came from the client’s address: reconnect later.' },
  failed: { code: 1013, meaning: 'The hub failed; the client did not cause it: reconnect later.' },
  badMessages: { code: 4400, meaning: 'Ten `bad_message` in a row: fix the client before it reconnects.' },
  unauthenticated: { code: 4401, meaning: 'Unauthenticated: reconnect with a fresh token.' },
  forbidden: { code: 4403, meaning: 'Forbidden, or ended by an admin: do not reconnect automatically.' },
  timedOut: { code: 4408, meaning: 'No `hello` in time, or the lease expired: reconnect.' },
  rateLimited: { code: 4429, meaning: 'Over the rate limit: reconnect later, and send more slowly.' },
} as const;
export type CloseReason = keyof typeof closeCodes;

/** Why a TCP frame was bad: the `reason` label of `presence_hub_bad_frames_total`, and the code in an `<error>`. */
export const badFrameReasons = {
  malformed: 'Not one well-formed `<protocol>` element with at most a declaration before it.',
  doctype: 'It has a DOCTYPE or an entity definition.',
  user_id: '`user_id` is missing, or is not 1 to 128 characters out of `A-Z a-z 0-9 . _ @ : -`.',
  user_state: '`user_state` is not an integer, or is negative and not -1.',
  device: '`device` is not 1 to 64 characters without control characters.',
  too_large: 'More than 8 KiB without `</protocol>`: the connection is closed.',
  unauthenticated: 'The `token` is missing, wrong or has expired.',
  forbidden: 'The `token` is another user’s, or an admin ended the user’s session on this connection.',
  too_many:
    'The user has as many sessions as the hub allows. (The code also answers a frame that is skipped because the connection or the hub is full: that one is not counted here.)',
} as const;
export type BadFrameReason = keyof typeof badFrameReasons;

/** Why the hub refused something or closed a connection: the `reason` label of `presence_hub_refused_total`. */
export const refusalReasons = {
  unauthenticated: 'The token is missing, wrong or has expired (401, 4401, a bad frame).',
  forbidden: 'The token does not allow it (403, 4403, a bad frame), or an admin ended it (a bad frame).',
  unavailable:
    'A token can’t be checked now: the issuer’s keys can’t be fetched, or it becomes valid within 5 minutes (503, 1013; TCP: `unavailable`, also after too many bad tokens).',
  origin: 'The page’s origin is neither the hub’s own nor in `HUB_ORIGINS` (403).',
  address: 'The address is not in `HUB_TCP_ALLOW`: the connection is closed.',
  proxy: 'A trusted proxy sent an invalid PROXY header: the connection is closed.',
  connections: '`HUB_MAX_CONNECTIONS` are open (`reconnect` and 1013; TCP: closed).',
  per_address: '`HUB_MAX_PER_ADDRESS` of that address are open (`reconnect` and 1013; TCP: closed).',
  sessions: 'The user has `HUB_MAX_SESSIONS` (`too_many`, 429, a bad frame).',
  sessions_total: 'The hub has `HUB_MAX_SESSIONS_TOTAL` (`too_many`, 429; TCP: the frame is skipped).',
  per_connection: 'The TCP connection carries `HUB_MAX_PER_CONNECTION` users: the frame is skipped.',
  observers: 'The user has `HUB_MAX_SESSIONS` observer connections (`too_many`).',
  watches: 'The connection would watch more than `HUB_MAX_WATCHES` (`too_many`).',
  friends: 'A user would have more friends, or blocks, than `HUB_MAX_FRIENDS` (409).',
  messages:
    'More than `HUB_MESSAGES_PER_S` (WebSocket and TCP: read later, far over it `rate_limited` and 4429; HTTP: 429), or more bad tokens of one address (HTTP: 429; WebSocket: `unavailable` and 1013).',
  slow_sender: 'A frame or a `hello` did not come in time: the connection is closed.',
  slow_reader: 'The client did not read what it was sent (1013).',
} as const;
export type RefusalReason = keyof typeof refusalReasons;
