/** The tail of changes, for admins only: checks who may have one, and how many there are. */
import type { Tail } from '../../../../shared/messages/client-messages.ts';
import { MAX_TAILS } from '../../../../shared/limits.ts';
import type { Identity } from '../../../auth/identity.ts';
import { mayAdmin } from '../../../auth/policy.ts';
import type { ConnectionControl } from '../connection-control.ts';
import type { ConnectionContext } from '../context.ts';

export function tail(
  { tails, onRefused }: ConnectionContext,
  connection: ConnectionControl,
  identity: Identity,
  message: Tail,
): void {
  const { match = '', id } = message;
  if (!mayAdmin(identity)) {
    onRefused('forbidden');
    connection.error('forbidden', 'tail: requires an admin’s token', id);
  } else if (!tails.begin(connection.outbox, match)) {
    onRefused('watches');
    connection.error('too_many', `tail: only ${MAX_TAILS} connections may have one, and they do`, id);
  } else {
    connection.ok(id);
  }
}

/** Ends the tail if a fresh token is not an admin's. */
export function endTailUnlessAdmin(
  { tails }: ConnectionContext,
  connection: ConnectionControl,
  identity: Identity,
): void {
  if (mayAdmin(identity) || !tails.end(connection.outbox)) return;
  connection.error('forbidden', 'tail: has ended, because the new token is not an admin’s', undefined);
}
