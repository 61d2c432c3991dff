/** `presence-hub token USER`: signs a token with the secret of the settings, to try a hub or for a script. Asks no hub. */
import { SignJWT } from 'jose';
import {
  readNoMore,
  readUserId,
  readWhole,
  runCommand,
  type CommandLine,
  type Flags,
} from '../../client/cli/commands/command-line.ts';
import { EXIT_OK, say, type Io } from '../../client/cli/terminal/io.ts';
import { fail, ok, type Result } from '../../shared/result.ts';
import { scopes } from '../auth/identity.ts';
import { systemClock } from '../lib/time/system-clock.ts';
import { readOwnSettings, settingsFlags, settingsHelp } from './own-settings.ts';

const help = [
  'presence-hub token USER [--scope SCOPE] [--hours N]    prints a token for USER, signed with HUB_JWT_SECRET',
  '',
  `  --scope SCOPE     what the token allows beyond USER’s own: ${scopes.join(', ')}; several in quotes`,
  '  --hours N         how long it is valid, 1 to 8760 (1)',
  ...settingsHelp,
].join('\n');

const flags = { ...settingsFlags, scope: 'text', hours: 'text' } as const satisfies Flags;
const MAX_HOURS = 8760;
const HOUR_S = 3600;

interface Order {
  readonly user: string;
  readonly scope: string;
  readonly hours: number;
  readonly secret: string;
  readonly issuer: string | null;
  readonly audience: string | null;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: printToken }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<Order> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const hours = readWhole('--hours', given.hours ?? '1', 1, MAX_HOURS);
  if (!hours.ok) return hours;
  const asked = (given.scope ?? '').split(/[\s,]+/).filter((one) => one !== '');
  const unknown = asked.find((one) => !(scopes as readonly string[]).includes(one));
  if (unknown !== undefined) {
    return fail(`--scope is ${JSON.stringify(unknown)}: it must be one of ${scopes.join(', ')}`);
  }
  const settings = readOwnSettings(given, env);
  if (!settings.ok) return settings;
  const { jwtSecret, jwtIssuer, jwtAudience } = settings.value.config;
  if (jwtSecret === null) {
    return fail('HUB_JWT_SECRET is not set: give the secret that the hub has; with HUB_JWKS_URL only the issuer signs');
  }
  const scope = asked.join(' ');
  return ok({
    user: user.value,
    scope,
    hours: hours.value,
    secret: jwtSecret,
    issuer: jwtIssuer,
    audience: jwtAudience,
  });
}

async function printToken({ user, scope, hours, secret, issuer, audience }: Order, io: Io): Promise<number> {
  const nowS = Math.floor(systemClock.now().wallMs / 1000);
  const token = new SignJWT(scope === '' ? {} : { scope })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + hours * HOUR_S);
  if (issuer !== null) token.setIssuer(issuer);
  if (audience !== null) token.setAudience(audience);
  say(io, await token.sign(new TextEncoder().encode(secret)));
  return EXIT_OK;
}
