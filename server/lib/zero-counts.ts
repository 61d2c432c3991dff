/** A count for each of some names, all of them zero: what is counted shows in the metrics before it has happened. */
export function zeroCounts<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
