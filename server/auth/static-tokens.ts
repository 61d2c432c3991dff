/**
 * The tokens that the settings hold: `HUB_ADMIN_TOKEN` and `HUB_METRICS_TOKEN`, each a list for rotation. Matches a
 * token in constant time and returns who bears it. Must not put a token into a message.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { fail, ok, type Result } from '../../shared/result.ts';
import { metricsReader, type Identity } from './identity.ts';

/** Longer tokens are refused unread, because jose would decode and parse them first. Real tokens have 0.2 to 2 KiB. */
export const MAX_TOKEN_CHARS = 8192;

/** Returns the identity of the bearer; undefined if the token is none of the settings'. */
export type StaticTokens = (token: string) => Identity | undefined;

interface StaticToken {
  readonly digest: Buffer;
  readonly identity: Identity;
}

/** Parses both settings (null: not set). `admin` is the identity of an admin token. The problem names the setting. */
export function createStaticTokens(
  adminTokens: string | null,
  metricsTokens: string | null,
  admin: Identity,
): Result<StaticTokens> {
  const tokens: StaticToken[] = [];
  for (const [setting, list, identity] of [
    ['HUB_ADMIN_TOKEN', adminTokens, admin],
    ['HUB_METRICS_TOKEN', metricsTokens, metricsReader],
  ] as const) {
    for (const [index, token] of (list?.split(',') ?? []).entries()) {
      const trimmed = token.replace(/^ +| +$/g, '');
      // Other characters cannot be sent in a header, or would be trimmed at its ends.
      if (!/^[\x21-\x7e]{16,1024}$/.test(trimmed)) {
        return fail(
          `${setting} must be 16 to 1024 visible ASCII characters without spaces, or several such tokens, separated by commas: give a random one, for example from \`openssl rand -hex 32\``,
        );
      }
      const name = `${setting} ${index + 1}`;
      tokens.push({ digest: digestOf(trimmed), identity: { ...identity, tokenName: name } });
    }
  }
  return ok((token) => {
    if (token.length > MAX_TOKEN_CHARS) return undefined;
    // Digests have equal lengths, as `timingSafeEqual` needs. All are compared, so that time reveals no position.
    const given = digestOf(token);
    let found: Identity | undefined;
    for (const { digest, identity } of tokens) if (timingSafeEqual(digest, given)) found ??= identity;
    return found;
  });
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
