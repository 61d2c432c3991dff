/**
 * Checks that all nodes of a cluster have the same number of buckets and the same settings that shape what is shown. The
 * first node stores them. A node with other values does not join while others are alive. The check also shows that the
 * server accepts changes.
 */
import { setTimeout as pass } from 'node:timers/promises';
import { z } from 'zod';

export interface Agreement {
  readonly buckets: number;
  /** Values by name of the setting. A setting that only one of two releases knows is not compared. */
  readonly settings: Readonly<Record<string, string>>;
}

const form = z.object({ buckets: z.number(), settings: z.record(z.string(), z.string()) });

/** A live node raises its counter within this time. */
const RENEWED_WITHIN_MS = 2500;
const POLL_MS = 250;

/** Its message is one line that begins with the name of a setting. */
export class Disagreement extends Error {}

/** Replaces the stored text if there is none, or if it is `seen`. KEYS: agreement, members. ARGV: seen, new. */
const AGREE = `
local old = redis.call('GET', KEYS[1])
local kept = (not old or old == ARGV[1]) and ARGV[2] or old
redis.call('SET', KEYS[1], kept)
return {kept, redis.call('HGETALL', KEYS[2])}
`;

/** Rejects with a Disagreement if this node can't join, or with an error of Redis. */
export async function agree(
  send: (args: readonly string[]) => Promise<unknown>,
  prefix: string,
  own: Agreement,
): Promise<void> {
  const ask = async (seen: string): Promise<{ kept: string; members: string }> => {
    const keys = [`${prefix}{m}:a`, `${prefix}{m}:n`];
    const [kept, members] = (await send(['EVAL', AGREE, '2', ...keys, seen, JSON.stringify(own)])) as [string, unknown];
    return { kept, members: JSON.stringify(members) };
  };
  const first = await ask('');
  let difference = differenceOf(first.kept, prefix, own);
  if (difference === undefined) return;
  if (!difference.isFinal) {
    for (let waitedMs = 0; waitedMs < RENEWED_WITHIN_MS; waitedMs += POLL_MS) {
      await pass(POLL_MS);
      if ((await ask('')).members !== first.members) throw new Disagreement(difference.line);
    }
    // No node is alive, so the values may be replaced, unless another node was faster.
    difference = differenceOf((await ask(first.kept)).kept, prefix, own);
  }
  if (difference !== undefined) throw new Disagreement(difference.line);
}

function differenceOf(text: string, prefix: string, own: Agreement): { line: string; isFinal: boolean } | undefined {
  const kept = read(text);
  if (kept === undefined)
    return {
      line: `HUB_REDIS_PREFIX: the keys under ${prefix} are not those of a hub: set another prefix`,
      isFinal: true,
    };
  if (kept.buckets !== own.buckets) {
    const counts = `${kept.buckets} buckets, and this release uses ${own.buckets}`;
    return { line: `HUB_REDIS_PREFIX: the cluster under ${prefix} has ${counts}: set another prefix`, isFinal: true };
  }
  for (const [name, value] of Object.entries(own.settings)) {
    const theirs = kept.settings[name];
    if (theirs === undefined || theirs === value) continue;
    const remedy = 'set the same value on all nodes, or stop all of them before you change it';
    return { line: `${name}: the other nodes of the cluster have another value: ${remedy}`, isFinal: false };
  }
  return undefined;
}

function read(text: string): Agreement | undefined {
  try {
    return form.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
