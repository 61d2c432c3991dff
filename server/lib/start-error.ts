/**
 * A start that fails for a reason that an operator can fix. `message` is one sentence that names the setting and says
 * what to do. It is printed on one line, without a stack.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
}
