/** Users of a load: `w0`, `w1` and so on, so that the prefix shows the kind of a user. */
export function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
