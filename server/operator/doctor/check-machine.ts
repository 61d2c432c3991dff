/** Checks what this machine gives the hub: the socket engine, file descriptors, the clock and the certificate. */
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { readLimit } from '../../hub/descriptors.ts';
import { openTlsFiles } from '../../lib/net/tls-files.ts';
import { StartError } from '../../lib/start-error.ts';
import { systemClock } from '../../lib/time/system-clock.ts';
import { loadEngine, loadSharingEngine } from '../../sockets/load-engine.ts';
import { MEMORY } from '../../storage/sqlite/database.ts';
import { ceilingOf } from '../../storage/sqlite/restore.ts';
import { asFinding, error, fine, warning, type Finding } from './finding.ts';

const DAY_MS = 86_400_000;
/** A certificate that is renewed automatically is renewed earlier than this. */
const RENEW_BEFORE_DAYS = 14;
const CLOCK_TOLERANCE_MS = 2000;
/** systemd-timesyncd creates this file when it has set the clock. */
const SYNCHRONIZED = '/run/systemd/timesync/synchronized';
const FETCH_WITHIN_MS = 5000;

export function checkEngine({ transport, workers }: Config): Finding {
  try {
    const { engine, why } = workers === 1 ? loadEngine(transport) : loadSharingEngine(transport);
    if (engine.name === 'uws' || transport === 'ws') return fine('engine', why);
    return warning('engine', why, 'install uWebSockets.js for this Node.js, or set HUB_TRANSPORT=ws if ws is enough');
  } catch (problem) {
    if (problem instanceof StartError) return asFinding('engine', 'error', problem.message);
    throw problem;
  }
}

export function checkDescriptors({ maxConnections }: Config): Finding {
  const limit = readLimit();
  if (typeof limit !== 'number') return fine('files', 'this system does not say how many files may be open');
  const says = `${limit} files may be open in this shell (ulimit -n), for HUB_MAX_CONNECTIONS=${maxConnections}`;
  if (limit > maxConnections) return fine('files', says);
  return warning('files', says, 'raise it (LimitNOFILE= of a service), or lower HUB_MAX_CONNECTIONS');
}

/** Compares the clock with the stored data, and with the issuer of tokens if there is one. */
export async function checkClock({ data, jwksUrl }: Config): Promise<readonly Finding[]> {
  const { wallMs } = systemClock.now();
  const storedMs = data === MEMORY ? 0 : ceilingOf(join(resolve(data), 'hub.sqlite'));
  const behindMs = storedMs - wallMs;
  const remedy = 'set the clock, for example with chrony or systemd-timesyncd';
  const stored =
    behindMs > CLOCK_TOLERANCE_MS
      ? error('clock', `the clock is ${Math.ceil(behindMs / 1000)} s behind what the hub has stored`, remedy)
      : fine('clock', `${new Date(wallMs).toISOString()}${existsSync(SYNCHRONIZED) ? ', synchronized' : ''}`);
  return jwksUrl === null ? [stored] : [stored, await checkIssuer(jwksUrl, remedy)];
}

async function checkIssuer(url: string, clockRemedy: string): Promise<Finding> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_WITHIN_MS) });
    await response.arrayBuffer();
    if (!response.ok) return error('keys', `HUB_JWKS_URL answers ${response.status}`, 'correct the URL');
    const theirs = Date.parse(response.headers.get('date') ?? '');
    const offMs = Math.abs(systemClock.now().wallMs - theirs);
    // The header has whole seconds, and the answer took a while.
    if (offMs > CLOCK_TOLERANCE_MS + FETCH_WITHIN_MS) {
      return warning('keys', `the clock differs from the issuer's by ${Math.round(offMs / 1000)} s`, clockRemedy);
    }
    return fine('keys', 'HUB_JWKS_URL answers');
  } catch (problem) {
    const cause = problem instanceof Error && problem.cause instanceof Error ? problem.cause : problem;
    return error('keys', `HUB_JWKS_URL can't be fetched (${String(cause)})`, 'see to the network or the URL');
  }
}

export async function checkCertificate({ tlsCert, tlsKey }: Config): Promise<Finding> {
  if (tlsCert === null || tlsKey === null) return fine('tls', 'no certificate: HTTP and TCP are not encrypted here');
  const opened = await openTlsFiles({
    certName: 'HUB_TLS_CERT',
    certPath: tlsCert,
    keyName: 'HUB_TLS_KEY',
    keyPath: tlsKey,
  });
  if (!opened.ok) return asFinding('tls', 'error', opened.problem.replace('; ', ': '));
  const { subject, validFrom, validTo } = new X509Certificate(opened.value.pair.cert);
  const { wallMs } = systemClock.now();
  const days = Math.floor((Date.parse(validTo) - wallMs) / DAY_MS);
  // Node's types leave out that a certificate may have none.
  const name = (subject as string | undefined)?.replaceAll('\n', ', ') ?? 'the certificate';
  if (Date.parse(validFrom) > wallMs) return error('tls', `${name} is valid from ${validFrom}`, 'check the clock');
  if (days < 0) return error('tls', `${name} expired on ${validTo}`, 'put a renewed one into HUB_TLS_CERT');
  const says = `${name} expires in ${days} days, on ${validTo}`;
  return days < RENEW_BEFORE_DAYS ? warning('tls', says, 'renew it') : fine('tls', says);
}
