/**
 * The fixed numbers of the contract: sizes, counts and durations on which a client may rely. A limit that an operator
 * can change is a setting in the server's config.
 */

/** The version of the wire contract, sent in `welcome`. */
export const PROTOCOL_VERSION = 1;

/** Maximum characters of a user id. */
export const MAX_USER_ID_CHARS = 128;
/** Maximum characters of a device label. */
export const MAX_DEVICE_CHARS = 64;
/** Maximum UTF-16 units of a text. */
export const MAX_TEXT_UNITS = 140;

/** Maximum UTF-8 bytes of an entry as the hub prints it. Device labels beyond it are omitted. */
export const MAX_ENTRY_BYTES = 2048;

/** Maximum ids in one `watch`, `unwatch` or HTTP list. */
export const MAX_IDS_PER_MESSAGE = 1000;
/** Maximum transitions in one page of a user's history. */
export const MAX_HISTORY = 1000;
/** Maximum entries in one page of the list of present users. */
export const MAX_LISTED = 1000;
/** Maximum events in one message to the receiver of a webhook. */
export const MAX_WEBHOOK_EVENTS = 1000;
/** A watch, unwatch or request is charged one unit more against the rate for each group of this many users. */
export const USERS_PER_UNIT = 50;
/** Maximum pairs in one import of friends: about 50 ms of the loop's time. */
export const MAX_EDGES_PER_IMPORT = 2000;
/** Maximum bytes of a WebSocket message. A larger one ends the connection with 1009. */
export const MAX_WS_MESSAGE_BYTES = 16 * 1024;
/** Bytes of a WebSocket message beyond which the engine may cut the connection without a close code. */
export const MAX_WS_PAYLOAD_BYTES = 2 * 1024 * 1024;
/** Maximum bytes of a TCP frame, including its terminator. */
export const MAX_TCP_FRAME_BYTES = 8 * 1024;
/** Maximum bytes of an HTTP body. A larger one gets 413. */
export const MAX_HTTP_BODY_BYTES = 256 * 1024;
/** Maximum bytes of an HTTP request line and headers. More gets 431. */
export const MAX_HTTP_HEADER_BYTES = 16 * 1024;
/** Bytes that are read of a polled target's answer. */
export const MAX_POLL_BODY_BYTES = 8 * 1024;

/** Consecutive bad TCP frames that close the connection. */
export const MAX_BAD_FRAMES_IN_A_ROW = 10;
/** Consecutive `bad_message` errors that close a WebSocket connection with 4400. */
export const MAX_BAD_MESSAGES_IN_A_ROW = 10;

/** Milliseconds within which a WebSocket connection must send its `hello`. */
export const HELLO_WITHIN_MS = 10_000;
/** Milliseconds after a `bye` within which the connection is closed, whatever the client does. */
export const BYE_CLOSE_WITHIN_MS = 5_000;
/** Maximum milliseconds between changes of one user that are sent as one, the last. */
export const MAX_FLUSH_WAIT_MS = 50;

/** Minimum milliseconds between two reports of a user that changes faster than that. */
export const REPORT_EVERY_MS = 50;

/** Maximum transitions in one answer of `explain`. */
export const MAX_TRANSITIONS = 20;
/** Minimum milliseconds between two `tail` messages. */
export const TAIL_EVERY_MS = 250;
/** Maximum changes in one `tail` message. The rest are counted in `skipped`. */
export const MAX_TAIL_CHANGES = 200;
/** Maximum simultaneous connections with a `tail`. */
export const MAX_TAILS = 20;

/** Maximum `ttlMs` of an HTTP heartbeat: a day. */
export const MAX_TTL_MS = 86_400_000;
