/**
 * A command's token, from the command line, a file or the environment, and the messages for a hub that refuses it.
 * Waits for the replacement of a file's token; the SDK decides when it is needed. Checks no signature. No problem, line
 * or error contains a token.
 */
import { readFileSync } from 'node:fs';
import { parseFields } from '../../../shared/messages/json.ts';
import type { Environment } from '../../../shared/environment.ts';
import { ok, fail, type Result } from '../../../shared/result.ts';
import type { GetToken } from '../../sdk/index.ts';

/** Does not begin with HUB_, because an unknown such name would stop a hub that is started in the same shell. */
const TOKEN_VARIABLE = 'PRESENCE_HUB_TOKEN';
const MAX_TOKEN_CHARS = 8_192;
/** How long a file's token may be replaced too late. */
const FRESH_WITHIN_MS = 60_000;
/** How long to wait while the token is still good by this machine's clock. The hub's clock may be ahead. */
const MOMENT_MS = 5_000;
const LOOK_EVERY_MS = 500;
const HOW_TO_GIVE = `give one with --token-file FILE, --token TOKEN or ${TOKEN_VARIABLE}`;

export interface TokenSource {
  readonly kind: 'none' | 'given' | 'file';
  /** The flag, file or variable that the token comes from, for display. */
  readonly name: string;
  /**
   * Returns the current token (a file is read again), undefined if none was given, or the reason why it cannot be read.
   */
  read(): Result<string | undefined>;
  /** Records that the hub has accepted a token of this source, so that a later refusal means that it has expired. */
  accepted(): void;
  /** Whether a refused token may be replaced soon: it is in a file, and the hub has accepted one of that file before. */
  readonly isRenewable: boolean;
  /**
   * Waits a moment for another token than `old`; if `old` has expired, until a minute after that. @returns whether there
   * is another token.
   */
  renewed(old: string, signal?: AbortSignal): Promise<boolean>;
}

export interface TokenFlags {
  readonly token?: string;
  readonly 'token-file'?: string;
}

const neverRenewed = { accepted: () => undefined, isRenewable: false, renewed: () => Promise.resolve(false) };
export const noToken: TokenSource = { kind: 'none', name: '', read: () => ok(undefined), ...neverRenewed };

/** Returns the source as the SDK asks for it: once at the start, and again if the hub needs a fresh token. */
export function getTokenFrom(source: TokenSource): GetToken | undefined {
  if (source.kind === 'none') return undefined;
  let old: string | undefined;
  return async ({ refresh }) => {
    if (refresh && old !== undefined) await source.renewed(old);
    const token = source.read();
    if (!token.ok) throw new Error(token.problem);
    return (old = token.value ?? '');
  };
}

/** Flags take precedence over the environment. A file that cannot be read is a fault of the command line. */
export function readToken(flags: TokenFlags, env: Environment): Result<TokenSource> {
  const { token, 'token-file': path } = flags;
  if (token !== undefined && path !== undefined) return fail('--token and --token-file exclude each other: give one');
  if (path !== undefined) {
    const source = new TokenFile(path);
    const first = source.read();
    return first.ok ? ok(source) : first;
  }
  if (token !== undefined) return givenSource('--token', token);
  const fromEnv = env[TOKEN_VARIABLE] ?? '';
  return fromEnv === '' ? ok(noToken) : givenSource(TOKEN_VARIABLE, fromEnv);
}

/** Returns the time of expiry by this machine's clock; undefined if the token does not show it. */
export function expiryOf(token: string): number | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  const exp = parseFields(Buffer.from(payload, 'base64url').toString('utf8'))?.['exp'];
  return typeof exp === 'number' ? exp * 1000 : undefined;
}

export type Refusal = 'unauthenticated' | 'forbidden';

/** Returns one line with the remedy for a refusal. `says` is the hub's text. */
export function describeRefusal(
  refusal: Refusal,
  { kind, name }: Pick<TokenSource, 'kind' | 'name'>,
  says: string,
): string {
  if (refusal === 'forbidden') return `the hub does not allow that (${says}): ${howToBeAllowed({ kind, name })}`;
  if (kind === 'none') return `the hub requires a token (${says}): ${HOW_TO_GIVE}`;
  return `the hub rejects the token of ${name} (${says}): ${kind === 'file' ? 'put a new one there' : 'give a new one'}`;
}

/** Returns the remedy if the hub knows the caller but does not allow the request. */
export function howToBeAllowed({ kind, name }: Pick<TokenSource, 'kind' | 'name'>): string {
  if (kind === 'none') return `if it requires a token, ${HOW_TO_GIVE}`;
  return `the token of ${name} must be the user’s own, or have the scope for it: observe to watch, admin to change`;
}

class TokenFile implements TokenSource {
  readonly kind = 'file';
  readonly name: string;
  isRenewable = false;

  constructor(path: string) {
    this.name = path;
  }

  read(): Result<string> {
    const where = `--token-file is ${JSON.stringify(this.name)}`;
    try {
      const token = readFileSync(this.name, 'utf8').trim();
      return token === '' ? fail(`${where}: it is empty`) : checkForm(where, token);
    } catch (error) {
      return fail(`${where}: ${error instanceof Error ? error.message : 'it can’t be read'}`);
    }
  }

  accepted(): void {
    this.isRenewable = true;
  }

  async renewed(old: string, signal?: AbortSignal): Promise<boolean> {
    const leftMs = (expiryOf(old) ?? 0) - Date.now();
    const endAt = performance.now() + (leftMs > MOMENT_MS ? MOMENT_MS : Math.max(0, leftMs) + FRESH_WITHIN_MS);
    while (this.isRenewable && performance.now() < endAt && signal?.aborted !== true) {
      const token = this.read();
      if (token.ok && token.value !== old) return true;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS).unref());
    }
    return false;
  }
}

function givenSource(name: string, text: string): Result<TokenSource> {
  const token = checkForm(name, text.trim());
  return token.ok ? ok({ kind: 'given', name, read: () => token, ...neverRenewed }) : token;
}

/** Other characters cannot be sent in a header, and the error would quote them. */
function checkForm(where: string, token: string): Result<string> {
  if (token.length > MAX_TOKEN_CHARS) return fail(`${where}: a token has at most ${MAX_TOKEN_CHARS} characters`);
  return /^[\x21-\x7e]+$/.test(token) ? ok(token) : fail(`${where}: a token is one word of visible ASCII characters`);
}
