import { StartError } from '../lib/start-error.ts';

/** Why a start failed, as one sentence for the operator; undefined for a bug. */
export function startProblem(error: unknown): string | undefined {
  if (error instanceof StartError) return error.message;
  // The system refused something, such as a file that cannot be read or a limit that is reached. The operator can fix that.
  const isOfSystem = error instanceof Error && 'syscall' in error && 'code' in error;
  return isOfSystem ? `the start failed (${error.message}): fix what it names, and start again` : undefined;
}
