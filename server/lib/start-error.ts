/**
 * A start that can't succeed for a reason an operator can mend: `message` is one sentence that names the setting and says
 * what to do. Thrown by hub.ts and the rooms it builds; main.ts prints it on one line, without a stack.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
}
