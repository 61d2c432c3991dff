/** A temporary folder for each test of a file, which is removed after the hub processes of the test have ended. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { endHubProcesses } from './hub-process.ts';

export interface ProcessFolder {
  /** The folder of the current test. */
  readonly path: string;
  /** The path of a file in it. */
  readonly at: (name: string) => string;
}

export function useProcessFolder(prefix: string): ProcessFolder {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), prefix));
  });
  afterEach(async () => {
    await endHubProcesses();
    rmSync(path, { recursive: true, force: true });
  });
  return {
    get path() {
      return path;
    },
    at: (name) => join(path, name),
  };
}
