/**
 * The forms of a setting's value: how it is parsed, and how it is described in error messages and in the reference.
 * Knows no setting.
 */
import { isIP } from 'node:net';
import { isLoopback } from '../lib/net/loopback.ts';
import { isWholeWithin } from '../../shared/result.ts';

export interface Form<T> {
  /** Returns undefined for a value that is not valid. Never gets an empty text, because that counts as unset. */
  readonly parse: (text: string) => T | undefined;
  /** Completes "it must be …" in an error message. */
  readonly mustBe: string;
  /** What the reference says, in Markdown. */
  readonly reference: string;
}

/** Any text. The module that knows its format parses it. */
export const text: Form<string> = { parse: (value) => value, mustBe: 'text', reference: 'text' };

export const host: Form<string> = {
  parse: (value) => (isHost(value) ? value : undefined),
  mustBe: 'a host name or an IP address, such as 127.0.0.1',
  reference: 'host or address',
};

export const yesNo: Form<boolean> = {
  parse: (value) => (/^(1|0|true|false)$/.test(value) ? value === '1' || value === 'true' : undefined),
  mustBe: '1 or 0',
  reference: '1 or 0',
};

/** Where friend lists are. Plain http:// is for tests, on the loopback interface only. */
export const rosterPlace: Form<string> = {
  parse: (value) => (value === 'sqlite' || isRosterUrl(value) ? value : undefined),
  mustBe:
    'sqlite, postgres://user@host/database, or https://… without user, password, query and fragment (http:// on this machine only)',
  reference: '`sqlite`, `postgres://…`, `https://…`',
};

export const postgresUrl: Form<string> = {
  parse: (value) => (isPostgresUrl(value) ? value : undefined),
  mustBe: 'postgres://user@host/database',
  reference: '`postgres://…`',
};

export function whole(min: number, max: number): Form<number> {
  return {
    parse: (value) => (isWholeWithin(value, min, max) ? Number(value) : undefined),
    mustBe: `a whole number from ${min} to ${max}`,
    reference: `${min} to ${max}`,
  };
}

export function choice<const T extends string>(...choices: readonly T[]): Form<T> {
  return {
    parse: (value) => choices.find((one) => one === value),
    mustBe: `${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}`,
    reference: choices.map((one) => `\`${one}\``).join(', '),
  };
}

const DAY_MS = 86_400_000;
export const port = whole(0, 65_535);
export const duration = whole(1, DAY_MS);
export const durationOrZero = whole(0, DAY_MS);
export const count = whole(1, 1_000_000_000);

function isPostgresUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return (url?.protocol === 'postgres:' || url?.protocol === 'postgresql:') && url.pathname.length > 1;
}

function isRosterUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol.startsWith('postgres') === true) return isPostgresUrl(value);
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return false;
  if (url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1'))) return false;
  return url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}

function isHost(value: string): boolean {
  // Digits and dots alone are meant as an address. A resolver would accept 127.1 as one.
  if (/^[\d.]+$/.test(value) || value.includes(':')) return isIP(value) !== 0;
  return /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(value);
}
