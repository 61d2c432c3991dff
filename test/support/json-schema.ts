/** Checks values against the schemas of a description of the API, with ajv. */
import { Ajv, type AnySchema } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

export interface Description {
  readonly components: { readonly schemas: Readonly<Record<string, AnySchema>> };
}

/** Returns the faults of a value; empty if it is of the named form. */
export type FaultsOf = (name: string, value: unknown) => readonly string[];

/**
 * `draft`: the dialect of the schemas. `isClosed`: a field that no schema names is a fault. The hub may send new fields
 * within a version of the protocol, but it must not send one that is not described.
 */
export function checker({ components }: Description, draft: 7 | 2020, isClosed: boolean): FaultsOf {
  const options = { allErrors: true, allowUnionTypes: true };
  const ajv = draft === 7 ? new Ajv(options) : new Ajv2020(options);
  ajv.addVocabulary(['components']);
  ajv.addSchema({ components: isClosed ? closed(components) : components }, 'description');
  return (name, value) => {
    const validate = ajv.getSchema(`description#/components/schemas/${name}`);
    if (validate === undefined) throw new Error(`there is no schema ${name}`);
    return validate(value) === true
      ? []
      : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
  };
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return inner['type'] === 'object' && inner['properties'] !== undefined && inner['additionalProperties'] === undefined
    ? { ...inner, additionalProperties: false }
    : inner;
}
