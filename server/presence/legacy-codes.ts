/**
 * The table of legacy integers: the integer under which a status is shown, and the status that an integer from a legacy
 * client means. Parsed once at the start from HUB_CODES. Knows no sessions.
 *
 * Format: `online=1,away=2|12,busy=3,offline=-1,invisible=40`, or the same as JSON (`{"away":[2,12],"offline":-1}`). A
 * status that is left out keeps the contract's integers.
 */
import { fail, ok, type Result } from '../../shared/result.ts';
import { defaultCodes, sessionStatuses, type SessionStatus, type UserStatus } from '../../shared/status.ts';

type Status = UserStatus | SessionStatus;
type Listed = Map<Status, readonly number[]>;

const statuses: readonly Status[] = [...sessionStatuses, 'offline'];
/** A legacy client's integer is a Java int. */
const MAX_CODE = 2_147_483_647;

export class CodeTable {
  readonly #shown: ReadonlyMap<Status, number>;
  readonly #meant: ReadonlyMap<number, SessionStatus>;

  private constructor(listed: Listed) {
    const offline = listed.get('offline')?.[0] ?? defaultCodes.offline;
    // Invisible is shown with the integer of offline, whatever integer the legacy client sent, so that nobody can
    // distinguish the two.
    this.#shown = new Map([
      ...[...listed].map(([status, codes]) => [status, codes[0] ?? offline] as const),
      ['invisible', offline],
      ['offline', offline],
    ]);
    this.#meant = new Map(
      sessionStatuses.flatMap((status) => (listed.get(status) ?? []).map((code) => [code, status] as const)),
    );
  }

  /** Parses HUB_CODES; null is the contract's table. `problem` completes a sentence that begins with the setting. */
  static parse(setting: string | null): Result<CodeTable> {
    const listed: Listed = new Map(Object.entries(defaultCodes).map(([status, code]) => [status as Status, [code]]));
    const given = setting === null ? [] : setting.trim().startsWith('{') ? fromJson(setting) : fromText(setting);
    if (given === undefined) return fail('must be one JSON object, or a list such as online=1,away=2|12');
    const named = new Set<string>();
    for (const { status, codes } of given) {
      if (!isStatus(status)) return fail(`names "${status}": the statuses are ${statuses.join(', ')}`);
      if (named.has(status)) return fail(`names ${status} twice: list its integers as in ${status}=2|12`);
      named.add(status);
      const fault = status === 'offline' ? faultOfOffline(codes) : faultOf(status, codes);
      if (fault !== undefined) return fail(fault);
      listed.set(status, codes.map(Number));
    }
    const twice = findTwice(listed);
    return twice === undefined ? ok(new CodeTable(listed)) : fail(twice);
  }

  /** Returns the integer of a status, for sessions that brought none. Invisible has the integer of offline. */
  codeOf(status: Status): number {
    return this.#shown.get(status) ?? defaultCodes.offline;
  }

  /** Returns the status that a positive integer of a legacy client means: online unless it is listed. */
  statusOf(code: number): SessionStatus {
    return this.#meant.get(code) ?? 'online';
  }
}

interface GivenCodes {
  readonly status: string;
  /** Codes as text, so that both formats follow the same rules: 2.0 and 1e1 are not integers here. */
  readonly codes: readonly string[];
}

function fromText(setting: string): readonly GivenCodes[] | undefined {
  const pairs = setting.split(',').map((pair) => pair.split('='));
  if (pairs.some((pair) => pair.length !== 2)) return undefined;
  return pairs.map(([status = '', codes = '']) => ({
    status: status.trim(),
    codes: codes.split('|').map((code) => code.trim()),
  }));
}

function fromJson(setting: string): readonly GivenCodes[] | undefined {
  try {
    const fields = JSON.parse(setting) as Record<string, unknown>;
    return Object.entries(fields).map(([status, codes]) => ({
      status,
      codes: (Array.isArray(codes) ? codes : [codes]).map((code: unknown) => JSON.stringify(code)),
    }));
  } catch {
    return undefined;
  }
}

function faultOf(status: Status, codes: readonly string[]): string | undefined {
  if (codes.length === 0) return `gives ${status} no integer: give at least one`;
  const bad = codes.find((code) => !/^[1-9]\d{0,9}$/.test(code) || Number(code) > MAX_CODE);
  return bad === undefined
    ? undefined
    : `gives ${status} the code ${bad === '' ? '""' : bad}: it must be a whole number from 1 to ${MAX_CODE}`;
}

/** A positive integer from a legacy client always means that its user is present, so offline cannot have one. */
function faultOfOffline(codes: readonly string[]): string | undefined {
  const [code = '', ...more] = codes;
  if (more.length > 0) return 'gives offline several integers: give exactly one';
  return /^(0|-[1-9]\d{0,8})$/.test(code)
    ? undefined
    : `gives offline the code ${code === '' ? '""' : code}: it must be 0 or a negative whole number`;
}

function findTwice(listed: Listed): string | undefined {
  const seen = new Map<number, Status>();
  for (const [status, codes] of listed) {
    for (const code of codes) {
      const other = seen.get(code);
      if (other === status) return `lists ${code} twice for ${status}: list it once`;
      if (other !== undefined) return `lists ${code} for both ${other} and ${status}: give it to one`;
      seen.set(code, status);
    }
  }
  return undefined;
}

function isStatus(name: string): name is Status {
  return (statuses as readonly string[]).includes(name);
}
