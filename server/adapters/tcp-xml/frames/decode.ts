/**
 * Decodes a frame's text into a heartbeat (user, state, device, address, token) or the reason why it is a bad frame.
 * There are two steps: XML to fields, and fields to a heartbeat. frame-templates.ts saves nearly every frame the first
 * step. Pure: knows no connection, applies nothing, and never throws, whatever the text. A bad frame yields no values
 * at all.
 */
import { XMLParser } from 'fast-xml-parser';
import type { BadFrameReason } from '../../../../shared/reasons.ts';
import { isAddress } from '../../../auth/cidrs.ts';
import { isDevice, isUserId } from '../../../../shared/ids.ts';
import { fields, reservedNames } from './names.ts';
import type { Field, FieldNames } from './names.ts';
import { hasDtd, protocolElement, resolveReferences } from './well-formed.ts';

export type Decoded =
  | {
      readonly ok: true;
      readonly user: string;
      /** 1 or above, or 0 or -1 for leaving. */
      readonly state: number;
      readonly device: string | undefined;
      readonly ip: string | undefined;
      readonly port: number | undefined;
      readonly token: string | undefined;
    }
  | { readonly ok: false; readonly reason: BadFrameReason };

export type Heartbeat = Extract<Decoded, { ok: true }>;

/** The value of each field in the XML; undefined if it has none. */
export type FieldValues = Readonly<Record<Field, string | undefined>>;

export const noValues: FieldValues = {
  user_id: undefined,
  user_state: undefined,
  user_ip: undefined,
  user_port: undefined,
  device: undefined,
  token: undefined,
};

/** The parser's node for an element, a text or a CDATA section: one key for its kind, with attributes beside it. */
interface ParsedNode {
  readonly ':@'?: Readonly<Record<string, string>>;
  readonly [kind: string]: readonly ParsedNode[] | string | Readonly<Record<string, string>> | undefined;
}

/** V8 copies shorter strings. */
const SHORTEST_VIEW_CHARS = 13;
const ATTRIBUTE_PREFIX = '@';
const TEXT = '#text';
const CDATA = '#cdata';

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTE_PREFIX,
  cdataPropName: CDATA,
  trimValues: false,
  parseTagValue: false,
  // References are resolved only in the few values that are read, and never in CDATA.
  processEntities: false,
  // The frame size is the limit. Neither the parser nor the walk over its tree recurses.
  maxNestedTags: Infinity,
  jPath: false,
  // The parser throws at these names. No field uses them.
  transformTagName: (name) => (reservedNames.has(name) ? `${name}.` : name),
});

function bad(reason: BadFrameReason): Decoded {
  return { ok: false, reason };
}

export function decodeFrame(text: string, names: FieldNames): Decoded {
  const values = readFields(text, names);
  return values === undefined ? bad(hasDtd(text) ? 'doctype' : 'malformed') : heartbeatOf(values);
}

const BEGINNING_CHARS = 64;

/**
 * For the log: the offending value of a bad frame, or how the frame begins; undefined if the value is missing. Text
 * that does not parse may contain a token, which is left out.
 */
export function offendingValue(text: string, reason: BadFrameReason, names: FieldNames): string | undefined {
  if (reason === 'user_id' || reason === 'user_state' || reason === 'device') return readFields(text, names)?.[reason];
  const tokenAt = text.indexOf(names.token);
  return text.slice(0, tokenAt === -1 ? BEGINNING_CHARS : Math.min(tokenAt, BEGINNING_CHARS));
}

/**
 * The state alone, for an answer that needs no user, such as that of a polled target. `undefined` if it has no valid
 * state.
 */
export function decodeState(text: string, names: FieldNames): number | undefined {
  return stateOf(readFields(text, names)?.user_state ?? '');
}

/** Validates the fields; `ok: false` if a significant one is not valid. */
export function heartbeatOf(values: FieldValues): Decoded {
  const user = values.user_id;
  if (user === undefined || !isUserId(user)) return bad('user_id');
  const state = stateOf(values.user_state ?? '1');
  if (state === undefined) return bad('user_state');
  const device = unlessEmpty(values.device);
  // The character replaces an invalid byte, so the device is unknown.
  if (device !== undefined && (!isDevice(device) || device.includes('\ufffd'))) return bad('device');
  const ip = values.user_ip;
  return {
    ok: true,
    user,
    state,
    device,
    ip: ip !== undefined && isAddress(ip) ? ip : undefined,
    port: portOf(values.user_port),
    token: unlessEmpty(values.token),
  };
}

/** The fields of a frame, trimmed; undefined if it is not one well-formed `<protocol>` element. */
export function readFields(text: string, names: FieldNames): FieldValues | undefined {
  const element = protocolElement(text);
  return element === undefined ? undefined : fieldsOf(parser.parse(element) as readonly ParsedNode[], names);
}

function unlessEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** Any integer that a legacy client may send; `undefined` if it is not one, or is negative and not -1. */
function stateOf(text: string): number | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const state = Number(text);
  if (!Number.isSafeInteger(state) || state < -1) return undefined;
  // Avoids -0, which is the same state as 0.
  return state === 0 ? 0 : state;
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Walks level by level, each in document order, so that the first match is the shallowest. */
function fieldsOf(tree: readonly ParsedNode[], names: FieldNames): FieldValues {
  const values: Record<Field, string | undefined> = { ...noValues };
  const take = (name: string, valueOf: () => string): void => {
    const field = fields.find((candidate) => names[candidate] === name);
    if (field !== undefined) values[field] ??= copyOf(valueOf().trim());
  };
  let level = tree;
  while (level.length > 0 && fields.some((field) => values[field] === undefined)) {
    const below: ParsedNode[] = [];
    for (const element of level) {
      for (const [key, value] of Object.entries(element[':@'] ?? {})) {
        // White space in an attribute is a space, unless it is written as a reference.
        take(key.slice(ATTRIBUTE_PREFIX.length), () => resolveReferences(value.replace(/[\t\n]/g, ' ')));
      }
      for (const child of contentOf(element)) {
        const name = kindOf(child);
        if (name === TEXT || name === CDATA) continue;
        take(name, () => textOf(child));
        below.push(child);
      }
    }
    level = below;
  }
  return values;
}

/**
 * Returns a copy that keeps no other text in memory. V8 represents a longer substring as a view of the original, so the
 * user id of a session would keep its whole frame of up to 8 KiB.
 */
function copyOf(text: string): string {
  return text.length < SHORTEST_VIEW_CHARS ? text : Buffer.from(text).toString();
}

function kindOf(node: ParsedNode): string {
  for (const kind in node) if (kind !== ':@') return kind;
  return '';
}

function contentOf(node: ParsedNode): readonly ParsedNode[] {
  const content = node[kindOf(node)];
  return Array.isArray(content) ? (content as readonly ParsedNode[]) : [];
}

/** An element's own text and CDATA, without that of nested elements: a container with a field's name has no value. */
function textOf(element: ParsedNode): string {
  let text = '';
  for (const part of contentOf(element)) {
    const own = part[TEXT];
    if (typeof own === 'string') text += resolveReferences(own);
    if (CDATA in part)
      for (const section of contentOf(part)) if (typeof section[TEXT] === 'string') text += section[TEXT];
  }
  return text;
}
