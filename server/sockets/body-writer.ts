/**
 * Writes a body in parts, each after the client has read enough of the part before, so that at most one part is in
 * memory. Knows no engine.
 */
import type { BodyRest } from './port.ts';

/** One answer that is sent in chunks. */
export interface ChunkSink {
  /** Whether the client is still there. */
  isOpen(): boolean;
  /** Writes a part. @returns a promise if the client must read first; it resolves also when the client is gone. */
  write(part: string): Promise<void> | undefined;
  /** Writes the last chunk. */
  end(): void;
  /** Cuts the connection without the last chunk. */
  cut(): void;
}

/** Never rejects. Calls `close` of the rest in every case. */
export async function writeInParts(first: string, rest: BodyRest, sink: ChunkSink): Promise<void> {
  try {
    let part: string | undefined = first;
    while (part !== undefined && sink.isOpen()) {
      // An empty chunk would be the last one.
      if (part !== '') await sink.write(part);
      if (sink.isOpen()) part = await rest.next();
    }
    if (sink.isOpen()) sink.end();
  } catch {
    if (sink.isOpen()) sink.cut();
  } finally {
    rest.close();
  }
}
