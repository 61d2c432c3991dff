/**
 * What a workload needs from any server under test: its addresses, its cost, and its end. The hub is one
 * (hub-server.ts), the reference servers are others (references.ts).
 */
import type { WireName } from './wires.ts';

/** What a server must have in common with the one before it, to be its next run. */
export interface Place {
  readonly folder: string;
  readonly port: number;
  readonly tcpPort: number;
}

export interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  readonly tcpPort: number;
  /** Lines of the log at level error or fatal, the oldest first. */
  readonly errors: readonly string[];
  /** Null while it runs; else how it ended. */
  readonly ended: () => string | null;
  cpuMs(): number;
  rssBytes(): number;
  /** Suspends the process, as a debugger or a suspended machine does. */
  freeze(): void;
  thaw(): void;
  /** How many heartbeats it has taken since it started, by its own count. */
  heartbeats(): Promise<number>;
  stop(): Promise<void>;
}

export interface HubServer extends Server {
  /** `kill -9`. @returns the folder for its next run. */
  crash(): Promise<Place>;
  /** Sends SIGTERM. Resolves when it has ended, with the ports and data for its next run. */
  drain(): Promise<Place>;
}

/** Who takes part in a comparison: the hub, or a reference. */
export interface Candidate {
  readonly name: string;
  /** How WebSocket messages travel; nothing to those who speak XML over TCP. */
  readonly wire: WireName;
  start(): Promise<Server>;
}

/** CPU and memory over a stretch of time. */
export interface Cost {
  readonly cpuMs: number;
  readonly cpuPercent: number;
  readonly rssMb: number;
  readonly ms: number;
}

/** Starts measuring. @returns a function that returns what was used since. */
export function measure(server: Server): () => Cost {
  const fromMs = performance.now();
  const fromCpuMs = server.cpuMs();
  return () => {
    const ms = performance.now() - fromMs;
    const cpuMs = server.cpuMs() - fromCpuMs;
    const rssMb = Number((server.rssBytes() / 1_048_576).toFixed(1));
    return { ms, cpuMs, cpuPercent: Number(((100 * cpuMs) / ms).toFixed(1)), rssMb };
  };
}
