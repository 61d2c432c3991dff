/** How a command reaches its hub: the address, and the token if there is one. */
import type { Environment } from '../../../shared/environment.ts';
import { ok, type Result } from '../../../shared/result.ts';
import { readAddress, type AddressFlags, type HubAddress } from './address.ts';
import { readToken, type TokenFlags, type TokenSource } from './token.ts';

export interface HubAccess extends HubAddress {
  readonly token: TokenSource;
}

export function readAccess(flags: AddressFlags & TokenFlags, env: Environment): Result<HubAccess> {
  const address = readAddress(flags, env);
  if (!address.ok) return address;
  const token = readToken(flags, env);
  return token.ok ? ok({ ...address.value, token: token.value }) : token;
}
