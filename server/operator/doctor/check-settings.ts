/** Checks the settings beyond their forms: address lists, tokens, proxies, webhook rules, and who can read the file. */
import { readFileSync, statSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { checkSettings } from '../../hub/context.ts';
import { isLoopback } from '../../lib/net/loopback.ts';
import { StartError } from '../../lib/start-error.ts';
import { parseRules } from '../../webhooks/rules.ts';
import { asFinding, error, fine, warning, type Finding } from './finding.ts';

export function checkValues(config: Config, warnings: readonly string[]): readonly Finding[] {
  const found = warnings.map((one) => asFinding('settings', 'warning', one));
  try {
    checkSettings(config);
  } catch (problem) {
    if (!(problem instanceof StartError)) throw problem;
    return [...found, asFinding('settings', 'error', problem.message)];
  }
  return found.length > 0 ? found : [fine('settings', 'all values are valid')];
}

/** A file with secrets in it is for the hub alone. */
export function checkFile({ configFile, jwtSecret, adminToken }: Config): readonly Finding[] {
  if (configFile === null || (jwtSecret === null && adminToken === null)) return [];
  if ((statSync(configFile).mode & 0o007) === 0) return [fine('secrets', `${configFile} is closed to other users`)];
  return [warning('secrets', `every user of this machine can read ${configFile}`, `chmod 640 ${configFile}`)];
}

export function checkProxy({ host, trustProxy, auth, tlsCert }: Config): Finding {
  if (/(^|[\s,])(0\.0\.0\.0|::)\/0/.test(trustProxy)) {
    const says = 'HUB_TRUST_PROXY trusts everyone, so any client can claim any address';
    return error('proxy', says, 'list the addresses of your proxies only');
  }
  if (trustProxy !== '') return fine('proxy', `X-Forwarded-For and PROXY headers of ${trustProxy} count`);
  if (auth === 'jwt' && tlsCert === null && isLoopback(host)) {
    const says =
      'a proxy on this machine must be in front, and its headers are not trusted: all clients are one address';
    return warning('proxy', says, 'set HUB_TRUST_PROXY=127.0.0.1,::1');
  }
  return fine('proxy', 'no proxy is trusted: the address of a connection counts');
}

export function checkWebhooks({ webhookFile }: Config): readonly Finding[] {
  if (webhookFile === null) return [];
  try {
    const rules = parseRules(readFileSync(webhookFile, 'utf8'));
    if (rules.ok) return [fine('webhooks', `${rules.value.length} rules in ${webhookFile}`)];
    return [error('webhooks', `HUB_WEBHOOKS is "${webhookFile}": ${rules.problem}`, 'correct the file')];
  } catch (problem) {
    return [error('webhooks', `HUB_WEBHOOKS can't be read (${String(problem)})`, 'name a JSON file of webhook rules')];
  }
}
