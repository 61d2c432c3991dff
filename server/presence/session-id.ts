/**
 * The id of a session: the node's name, which is another in each run, and the session's number in it. Made when somebody
 * asks, so that no session keeps a text for it; an id of another run or node is nobody's here.
 */

export function sessionIdOf(node: string, no: number): string {
  return `${node}.${no.toString(36)}`;
}

/** The number in an id of this node; undefined for any other text. */
export function sessionNoOf(node: string, id: string): number | undefined {
  if (!id.startsWith(`${node}.`)) return undefined;
  const no = Number.parseInt(id.slice(node.length + 1), 36);
  // Only as it is given out: `01` or `1x!` is no session's.
  return Number.isSafeInteger(no) && sessionIdOf(node, no) === id ? no : undefined;
}
