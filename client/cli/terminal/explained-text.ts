/**
 * Renders an explanation as lines for people: the decision, the sessions and the recent transitions, with ages. Pure:
 * no stream, no clock. Every text from a hub passes through `isolated` here.
 */
import type { ExplainedSession, Explanation, Transition } from '../../../shared/messages/explain.ts';
import { formatAgo, formatDuration, formatTime } from '../../ui/ago.ts';
import { fit, isolated, widthOf } from './terminal-text.ts';

/** Returns the lines. Ages are by the hub's clock. */
export function renderExplanation(explanation: Explanation): readonly string[] {
  const { user, at, entry, decision, sessions, transitions, transitionsSince, stale } = explanation;
  const { status, since, lastSeen } = entry;
  return [
    `${user} is shown ${status} (code ${entry.code})${since === null ? '' : `, for ${formatDuration(at - since, 1)}`}`,
    `  because    ${isolated(decision.rule)}`,
    ...describeHidden(explanation),
    ...(entry.text === undefined ? [] : [`  text       ${isolated(entry.text)}`]),
    `  last seen  ${lastSeen === null ? 'never' : ago(lastSeen, at)}`,
    ...(stale === true ? ['  stale      the hub has just restarted; this may be out of date'] : []),
    '',
    sessions.length === 0 ? 'No session.' : `Sessions (* decides):`,
    ...inColumns(sessions.map((session) => sessionCells(session, at))),
    '',
    transitions.length === 0 ? 'No changes recorded' : 'Changes, newest first',
    ...inColumns(transitions.map((transition) => transitionCells(transition, at))),
    `  (kept since ${formatTime(transitionsSince, at)}, ${ago(transitionsSince, at)})`,
  ];
}

function describeHidden({ hidden: { isInvisible, from, fromCount } }: Explanation): string[] {
  const others = fromCount > from.length ? ` and ${fromCount - from.length} more` : '';
  return [
    ...(isInvisible ? ['  invisible  everyone else sees the user as offline'] : []),
    ...(fromCount > 0 ? [`  blocks     ${from.join(', ')}${others}: they see it as offline`] : []),
  ];
}

function sessionCells(session: ExplainedSession, at: number): string[] {
  const { id, state, adapter, device, status, code, text, connectedAt, lastHeartbeatAt, decides } = session;
  const rest = session.leaseEndsAt - at;
  return [
    decides ? '*' : ' ',
    id,
    state,
    adapter,
    device,
    `${status} (${code})`,
    describeAddress(session),
    connectedAt === null ? 'connected before the restart' : `connected ${ago(connectedAt, at)}`,
    `heartbeat ${ago(lastHeartbeatAt, at)}`,
    rest > 0 ? `ends in ${formatDuration(rest, 1)}` : 'kept after its end',
    text ?? '',
  ];
}

function describeAddress({ address, peerAddress }: ExplainedSession): string {
  if (address === null) return 'address unknown';
  return peerAddress === undefined ? address : `${address} (claimed, connected from ${peerAddress})`;
}

function transitionCells({ at: when, cause, from, to, adapter, session }: Transition, at: number): string[] {
  return ['', formatTime(when, at), ago(when, at), cause, from === to ? to : `${from} > ${to}`, adapter, session];
}

function ago(when: number, at: number): string {
  return formatAgo(when, at, 1);
}

/** Aligns cells in columns as wide as their widest cell, without trailing spaces. */
function inColumns(rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map(isolated));
  const widthOfColumn = (column: number): number => Math.max(0, ...safe.map((row) => widthOf(row[column] ?? '')));
  return safe.map((row) =>
    row
      .map((cell, column) => fit(cell, widthOfColumn(column)))
      .join('  ')
      .trimEnd(),
  );
}
