/** The sentence for an address or port that can't be listened on. Names the settings it is told; knows no server. */
import { StartError } from './start-error.ts';

/** The settings that say where to listen, and what they say. */
export interface ListenSettings {
  readonly hostName: string;
  readonly host: string;
  readonly portName: string;
  readonly port: number;
}

/** Runs `listen`, and turns its failure into a sentence for the operator. */
export async function listenOrExplain<T>(where: ListenSettings, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(explain(where, error), { cause: error });
  }
}

function explain({ hostName, host, portName, port }: ListenSettings, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return `${portName} is ${port}: another process holds that port; stop it or give another port`;
  }
  if (code === 'EACCES') return `${portName} is ${port}: this user may not take that port; give one above 1023`;
  const reason = error instanceof Error ? error.message : String(error);
  return `${hostName} is "${host}": it can't be listened on (${reason}); give an address of this machine`;
}
