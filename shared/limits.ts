/**
 * The numbers of the contract: sizes, counts and spans that a client may rely on.
 * A limit that an operator may move is a setting and stands in the server's config; here is what nobody moves.
 */

/** Version of the wire contract, told in `welcome`. */
export const PROTOCOL_VERSION = 1;

/** Characters of a user id, at most. */
export const MAX_USER_ID_CHARS = 128;
/** Characters of a device label, at most. */
export const MAX_DEVICE_CHARS = 64;
/** UTF-16 units of a text, at most. */
export const MAX_TEXT_UNITS = 140;

/** Bytes of an entry as the hub prints it, in UTF-8. Device labels beyond it are left out. */
export const MAX_ENTRY_BYTES = 2048;

/** Ids in one `watch`, `unwatch` or HTTP list, at most. */
export const MAX_IDS_PER_MESSAGE = 1000;
/** A watch, an unwatch or a request counts one more against the rate for each so many users that it touches. */
export const USERS_PER_UNIT = 50;
/** Pairs in one import of friends, at most: about 50 ms of the loop's time. */
export const MAX_EDGES_PER_IMPORT = 2000;
/** Bytes of a WebSocket message; a larger one ends the connection with 1009. */
export const MAX_WS_MESSAGE_BYTES = 16 * 1024;
/** Bytes of a WebSocket message beyond which the engine may just cut the connection. */
export const MAX_WS_PAYLOAD_BYTES = 2 * 1024 * 1024;
/** Bytes of a TCP frame, its terminator included. */
export const MAX_TCP_FRAME_BYTES = 8 * 1024;
/** Bytes of an HTTP body; a larger one is 413. */
export const MAX_HTTP_BODY_BYTES = 256 * 1024;
/** Bytes of an HTTP request line and headers; more is 431. */
export const MAX_HTTP_HEADER_BYTES = 16 * 1024;
/** Bytes of a polled target's answer that are read. */
export const MAX_POLL_BODY_BYTES = 8 * 1024;

/** Bad TCP frames in a row that close the connection. */
export const MAX_BAD_FRAMES_IN_A_ROW = 10;
/** `bad_message` errors in a row that close a WebSocket connection with 4400. */
export const MAX_BAD_MESSAGES_IN_A_ROW = 10;

/** Milliseconds a WebSocket connection has for its `hello`. */
export const HELLO_WITHIN_MS = 10_000;
/** Milliseconds after a `bye` within which the connection is closed, whatever the client does. */
export const BYE_CLOSE_WITHIN_MS = 5_000;
/** Milliseconds that changes of one user may be apart and still be told as the last of them. */
export const MAX_FLUSH_WAIT_MS = 50;

/** Milliseconds between two reports of one user who changes faster than that, at least. */
export const REPORT_EVERY_MS = 50;

/** Transitions in one answer of `explain`, at most. */
export const MAX_TRANSITIONS = 20;
/** Milliseconds between two `tail` messages, at least. */
export const TAIL_EVERY_MS = 250;
/** Changes in one `tail` message, at most: more are counted in `skipped`. */
export const MAX_TAIL_CHANGES = 200;
/** Connections with a `tail` at once, at most. */
export const MAX_TAILS = 20;

/** `ttlMs` of an HTTP heartbeat, at most: a day. */
export const MAX_TTL_MS = 86_400_000;
