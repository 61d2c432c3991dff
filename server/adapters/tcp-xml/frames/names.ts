/**
 * The names that a legacy client uses for the fields, and the parsing of HUB_TCP_NAMES: `user_id=uid,user_state=state`,
 * or the same as a JSON object. Reads no frame.
 */
import { parseFields } from '../../../../shared/messages/json.ts';
import { ok, fail, type Result } from '../../../../shared/result.ts';
import { isXmlName } from './well-formed.ts';

export const fields = ['user_id', 'user_state', 'user_ip', 'user_port', 'device', 'token'] as const;
export type Field = (typeof fields)[number];

/** Each field's name in the XML. */
export type FieldNames = Readonly<Record<Field, string>>;

export const defaultFieldNames: FieldNames = {
  user_id: 'user_id',
  user_state: 'user_state',
  user_ip: 'user_ip',
  user_port: 'user_port',
  device: 'device',
  token: 'token',
};

const EXAMPLE = 'write it like user_id=uid,user_state=state';

/** Names that the XML parser does not allow as keys of its objects. No field may use one. */
export const reservedNames: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function isField(text: string): text is Field {
  return (fields as readonly string[]).includes(text);
}

/** The setting as pairs of field and name, or a sentence that says what is wrong with it. */
function pairsOf(setting: string): (readonly [string, unknown])[] | string {
  const text = setting.trim();
  if (text === '') return [];
  if (!text.startsWith('{')) {
    return text.split(',').map((pair) => {
      const [field = '', ...name] = pair.split('=');
      return [field.trim(), name.join('=').trim()];
    });
  }
  const given = parseFields(text);
  return given === undefined ? `is not a JSON object: ${EXAMPLE}, or {"user_id":"uid"}` : Object.entries(given);
}

/** The names from the setting, with defaults for the rest; or what is wrong with it and how to fix it. */
export function parseFieldNames(setting: string): Result<FieldNames> {
  const pairs = pairsOf(setting);
  if (typeof pairs === 'string') return fail(pairs);
  const names: Record<Field, string> = { ...defaultFieldNames };
  const given = new Set<Field>();
  for (const [field, name] of pairs) {
    if (!isField(field)) {
      return fail(`"${field}" is not a field: use ${fields.join(', ')}; ${EXAMPLE}`);
    }
    if (given.has(field)) return fail(`${field} is named twice: keep one of them`);
    if (typeof name !== 'string' || !isXmlName(name) || reservedNames.has(name)) {
      return fail(`${field} needs an XML name, and ${JSON.stringify(name)} is not one: ${EXAMPLE}`);
    }
    given.add(field);
    names[field] = name;
  }
  for (const [index, field] of fields.entries()) {
    const other = fields.slice(0, index).find((earlier) => names[earlier] === names[field]);
    if (other !== undefined) {
      return fail(`${other} and ${field} would both be "${names[field]}": give one of them another name`);
    }
  }
  return ok(names);
}
