/**
 * Builds the message for an address or port that cannot be listened on. It names the setting, its value, and what to
 * do. Knows no server; the names of the settings are passed in.
 */
import { StartError } from '../start-error.ts';

/** The settings of the address and port, with their values. */
interface ListenSettings {
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
    throw new StartError(explain(where, error), { cause: error });
  }
}

function explain({ hostName, host, portName, port }: ListenSettings, error: unknown): string {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return `${portName} is ${port}: another process holds that port of ${host}; stop it, or set ${portName} to another port`;
    case 'EACCES':
      return `${portName} is ${port}: this user may not take that port; set ${portName} to one above 1023`;
    case 'EADDRNOTAVAIL':
      return `${hostName} is "${host}": it is not an address of this machine; set ${hostName} to one`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${hostName} is "${host}": there is no address of that name; set ${hostName} to an address of this machine`;
    default: {
      const reason = error instanceof Error ? error.message : String(error);
      return `${hostName} is "${host}": it can't be listened on (${reason}); set ${hostName} to an address of this machine`;
    }
  }
}
