/**
 * The ids of users whose erasure has begun and is not complete, in a file of HUB_DATA, so that a start after a crash
 * completes it. The file is gone when there is none. Must not know what an erasure does.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StorageUnavailable } from '../lib/storage-unavailable.ts';

const FILE = 'erasing.json';

export class UnfinishedErasures {
  readonly #file: string | undefined;
  readonly #users: Set<string>;

  /** `folder`: undefined if nothing is kept on disk. A file that cannot be read counts as empty. */
  constructor(folder: string | undefined) {
    this.#file = folder === undefined ? undefined : join(folder, FILE);
    this.#users = new Set(this.#read());
  }

  get users(): ReadonlySet<string> {
    return this.#users;
  }

  /** @throws StorageUnavailable if that cannot be stored. */
  add(user: string): void {
    if (this.#users.has(user)) return;
    this.#users.add(user);
    try {
      this.#write();
    } catch (error) {
      this.#users.delete(user);
      throw error;
    }
  }

  /** @throws StorageUnavailable if that cannot be stored. */
  delete(user: string): void {
    if (!this.#users.delete(user)) return;
    try {
      this.#write();
    } catch (error) {
      this.#users.add(user);
      throw error;
    }
  }

  #read(): readonly string[] {
    if (this.#file === undefined) return [];
    try {
      rmSync(`${this.#file}.part`, { force: true }); // of a crash while it was written
      const read: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      return Array.isArray(read) ? read.filter((id): id is string => typeof id === 'string') : [];
    } catch {
      return []; // missing, or a disk that lost it: then the request has to be repeated
    }
  }

  #write(): void {
    if (this.#file === undefined) return;
    try {
      if (this.#users.size === 0) {
        rmSync(this.#file, { force: true });
        return;
      }
      const part = `${this.#file}.part`;
      const descriptor = openSync(part, 'w', 0o600);
      try {
        writeSync(descriptor, JSON.stringify([...this.#users]));
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(part, this.#file);
    } catch (error) {
      throw new StorageUnavailable(
        'cannot note the erasure',
        error instanceof Error ? error : new Error(String(error)),
      );
    }
  }
}
