/**
 * A certificate and its private key in two PEM files. Reads them, checks that they match, and watches them for changes,
 * so that a renewed pair is used without a restart. An invalid pair results in an error message and never replaces a
 * valid one. No part of a key may appear in a sentence. Knows no server; the names of the settings are passed in.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { fail, type Result } from '../../../shared/result.ts';
import { readRegularFile } from '../regular-file.ts';

/** The paths of the two files, and the names of their settings. */
interface TlsSettings {
  readonly certName: string;
  readonly certPath: string;
  readonly keyName: string;
  readonly keyPath: string;
}

export interface TlsPair {
  /** PEM: the certificate, followed by those of its issuers. */
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certPath: string;
  readonly keyPath: string;
}

/** Starts to use a new pair. If it throws, the error becomes a problem, and it is called again at the next check. */
type TakePair = (pair: TlsPair) => void;

const LOOK_EVERY_MS = 5_000;

/** Opens the files. A problem is one sentence that names the setting, its file and what to do. */
export async function openTlsFiles(settings: TlsSettings): Promise<Result<TlsFiles>> {
  // The print is taken before the bytes. A change in between then results in another print, and the files are read
  // again.
  const print = await takePrint(settings);
  const read = await readPair(settings, readFile);
  return read.ok ? { ok: true, value: new TlsFiles(settings, read.value, print) } : read;
}

export class TlsFiles {
  readonly #settings: TlsSettings;
  readonly #listeners = new Set<TakePair>();
  #pair: TlsPair;
  /** The print of the files that `pair` was read from; '' if they must be read again. */
  #print: string;
  #problem = '';
  #onProblem: (problem: string) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;
  #isStopped = false;

  /** Only for `openTlsFiles`, with a sound pair. */
  constructor(settings: TlsSettings, pair: TlsPair, print: string) {
    this.#settings = settings;
    this.#pair = pair;
    this.#print = print;
  }

  /** The newest sound pair. */
  get pair(): TlsPair {
    return this.#pair;
  }

  /** Registers `take` for new pairs. Returns a function that unregisters it. */
  onChange(take: TakePair): () => void {
    this.#listeners.add(take);
    return () => void this.#listeners.delete(take);
  }

  /**
   * Checks the files periodically, without keeping the process alive. Reports an unsound pair to `onProblem` once, not
   * at every check. The previous pair stays in use.
   */
  watch(onProblem: (problem: string) => void, everyMs = LOOK_EVERY_MS): void {
    this.#onProblem = onProblem;
    this.#timer = setInterval(() => {
      if (this.#checking === undefined) void this.check();
    }, everyMs).unref();
  }

  /** Like `check`, but reports an unsound pair again, even if it is the same as before. */
  async checkAnew(): Promise<'replaced' | 'kept'> {
    const before = this.#pair;
    this.#problem = '';
    // An unsound pair has an empty print, so it is read again.
    await this.check();
    return this.#pair === before ? 'kept' : 'replaced';
  }

  /** Checks the files now. Resolves when a new pair is in use, or is reported as unsound. */
  async check(): Promise<void> {
    // A check in progress may have seen the files before the change.
    while (this.#checking !== undefined) await this.#checking;
    this.#checking = this.#readAgain();
    try {
      await this.#checking;
    } finally {
      this.#checking = undefined;
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  async #readAgain(): Promise<void> {
    const print = await takePrint(this.#settings);
    if (print === this.#print) return;
    const read = await readPair(this.#settings, readRegularFile);
    if (this.#isStopped) return;
    const problem = read.ok ? this.#takeOver(read.value) : read.problem;
    // A file that cannot be read now (for example for lack of descriptors) may be readable at the next check with the
    // same print.
    this.#print = problem === '' ? print : '';
    if (problem !== '' && problem !== this.#problem) {
      this.#onProblem(`${problem}; until then the previous certificate stays in use`);
    }
    this.#problem = problem;
  }

  /** Returns the problem, or ''. */
  #takeOver(pair: TlsPair): string {
    if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return '';
    try {
      for (const take of this.#listeners) take(pair);
    } catch (error) {
      return aboutCert(this.#settings, `it cannot be used (${reasonOf(error)}); give another one`);
    }
    this.#pair = pair;
    return '';
  }
}

/** Returns a text that changes when a file is rewritten, replaced by a rename, or a moved link. */
async function takePrint({ certPath, keyPath }: TlsSettings): Promise<string> {
  const prints = [certPath, keyPath].map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return reasonOf(error);
    }
  });
  return (await Promise.all(prints)).join('\n');
}

type Read = (path: string) => Promise<Buffer>;

async function readPair(settings: TlsSettings, read: Read): Promise<Result<TlsPair>> {
  const { certPath, keyPath } = settings;
  const cert = await readBytes(certPath, read);
  if (typeof cert === 'string') {
    return fail(aboutCert(settings, `it can't be read (${cert}); name a PEM file with the certificate`));
  }
  const key = await readBytes(keyPath, read);
  if (typeof key === 'string') {
    return fail(aboutKey(settings, `it can't be read (${key}); name a PEM file with the private key`));
  }
  const problem = findProblem(settings, cert, key);
  return problem === undefined ? { ok: true, value: { cert, key, certPath, keyPath } } : fail(problem);
}

/** Returns the bytes, or the system's error code. */
async function readBytes(path: string, read: Read): Promise<Buffer | string> {
  try {
    return await read(path);
  } catch (error) {
    return reasonOf(error);
  }
}

function findProblem(settings: TlsSettings, cert: Buffer, key: Buffer): string | undefined {
  const certificate = parse(() => new X509Certificate(cert));
  // The class would also accept DER, which not every TLS server does.
  if (certificate.value === undefined || !cert.includes('-----BEGIN ')) {
    return aboutCert(settings, 'it holds no certificate in PEM form; give one, with those of its issuers after it');
  }
  const privateKey = parse(() => createPrivateKey(key));
  if (privateKey.value === undefined) {
    return key.includes('ENCRYPTED')
      ? aboutKey(settings, 'the key in it is encrypted; give it without a passphrase')
      : aboutKey(settings, 'it holds no private key in PEM form; give the one of the certificate');
  }
  if (!certificate.value.checkPrivateKey(privateKey.value)) {
    return aboutKey(settings, `its key is not that of the certificate in ${settings.certName}; give a matching pair`);
  }
  // Finds keys that are too short, and broken certificates later in the file.
  const context = parse(() => createSecureContext({ cert, key }));
  return context.value === undefined
    ? aboutCert(settings, `TLS can't use it (${context.code}); give another pair`)
    : undefined;
}

/** Keeps only the error code of a parser, because its message could quote the unreadable input. */
function parse<T>(read: () => T): { value: T } | { value?: undefined; code: string } {
  try {
    return { value: read() };
  } catch (error) {
    return { code: reasonOf(error) };
  }
}

function aboutCert({ certName, certPath }: TlsSettings, problem: string): string {
  return `${certName} is ${JSON.stringify(certPath)}: ${problem}`;
}

function aboutKey({ keyName, keyPath }: TlsSettings, problem: string): string {
  return `${keyName} is ${JSON.stringify(keyPath)}: ${problem}`;
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));
}
