/** Which device labels an entry has room for (PROTOCOL.md section 1): 2,048 bytes, oldest start first. */
import { describe, expect, it } from 'vitest';
import { MAX_ENTRY_BYTES } from '../../../shared/limits.ts';
import { noStalls } from '../../../server/lib/time/stall-clock.ts';
import { storableSessions, type RestoredSession } from '../../../server/presence/sessions/restored-session.ts';
import type { Session } from '../../../server/presence/sessions/session.ts';
import { admin, observer, PresenceStage } from '../../support/presence-stage.ts';

const bytesOf = (stage: PresenceStage, user = '42'): number =>
  Buffer.byteLength(stage.users.entryJsonFor(stage.users.peek(user), admin));
const label = (no: number, filler = 'x'): string => String(no).padStart(2, '0') + filler.repeat(62);

/** A user with this many sessions, each with its own label, one millisecond apart. */
function stageWith(count: number, filler = 'x', text = ''): { stage: PresenceStage; sessions: Session[] } {
  const stage = new PresenceStage();
  const sessions = Array.from({ length: count }, (_, i) => {
    stage.clock.pass(1);
    // Not in the order of their labels.
    return stage.begin('42', { device: label((i * 7) % count, filler), text, leaseMs: 100_000 });
  });
  return { stage, sessions };
}

/** The same list, made by trying: labels in order of start until the next does not fit. */
function expected(stage: PresenceStage, inOrder: readonly string[]): string[] {
  const entry = stage.entry('42');
  const shown: string[] = [];
  for (const device of inOrder) {
    if (Buffer.byteLength(JSON.stringify({ ...entry, devices: [...shown, device] })) > MAX_ENTRY_BYTES) break;
    shown.push(device);
  }
  return shown.sort();
}

describe('an entry (I13)', () => {
  it('is at most 2,048 bytes with any labels and text, and shows those that started first and fit', () => {
    for (const [filler, text] of [
      ['x', ''],
      ['x', '\u0001'.repeat(140)],
      ['電', 'é'.repeat(140)],
      ['é', '\u{1f600}'.repeat(70)],
      ['"', '\\'.repeat(140)],
      ['\ud800', ''],
    ] as const) {
      const { stage, sessions } = stageWith(50, filler, text);
      const { devices } = stage.entry('42');
      expect(bytesOf(stage), filler).toBeLessThanOrEqual(MAX_ENTRY_BYTES);
      const inOrder = sessions.map(({ device }) => device);
      expect(devices, filler).toEqual(expected(stage, inOrder));
      expect(devices.length, filler).toBeGreaterThan(0);
    }
  });

  it('shows all labels of a user whose entry just fits, and one less if it is a byte too long', () => {
    const { stage, sessions } = stageWith(20);
    const shown = stage.entry('42').devices;
    const first = sessions[0]!;
    const spare = MAX_ENTRY_BYTES - bytesOf(stage);
    const fill = 'y'.repeat(spare - ',"text":""'.length);
    stage.say(first, { text: fill });
    expect(bytesOf(stage)).toBe(MAX_ENTRY_BYTES);
    expect(stage.entry('42').devices).toEqual(shown);
    stage.say(first, { text: `${fill}y` });
    expect(stage.entry('42').devices).toHaveLength(shown.length - 1);
  });

  it('takes labels that started at once in their own order', () => {
    const stage = new PresenceStage();
    for (let i = 49; i >= 0; i--) stage.begin('42', { device: label(i) });
    const { devices } = stage.entry('42');
    expect(devices).toEqual(Array.from({ length: devices.length }, (_, i) => label(i)));
  });

  it('counts the newest session of a label', () => {
    const { stage, sessions } = stageWith(50);
    const oldest = sessions[0]!.device;
    expect(stage.entry('42').devices).toContain(oldest);
    stage.clock.pass(1);
    stage.begin('42', { device: oldest });
    expect(stage.entry('42').devices).not.toContain(oldest);
  });

  it('does not change when a label that has no room comes or goes; the user itself sees all of them (I12)', () => {
    const { stage, sessions } = stageWith(50);
    const before = stage.entry('42');
    const { fold } = stage.users.peek('42');
    expect(fold.devices).toHaveLength(50);
    stage.clock.pass(1);
    const more = stage.begin('42', { device: label(77) });
    expect(stage.changes.at(-1)).toMatchObject({ isShown: false });
    expect(stage.users.peek('42').fold.devices).toContain(label(77));
    expect(stage.leave(more)).toMatchObject({ isShown: false });
    expect(stage.leave(sessions.at(-1)!)).toMatchObject({ isShown: false });
    expect(stage.entry('42')).toEqual(before);
    expect(stage.leave(sessions[0]!)).toMatchObject({ isShown: true });
  });

  it('keeps its labels while their sessions reload', () => {
    const { stage, sessions } = stageWith(50);
    const before = stage.entry('42');
    for (const session of sessions) {
      stage.clock.pass(1);
      stage.lose(session);
      stage.begin('42', { device: session.device });
    }
    expect(stage.entry('42')).toEqual(before);
  });

  it('keeps its labels over a restart, and while its users come back in any order', () => {
    const { stage } = stageWith(50);
    const user = stage.users.peek('42');
    const stored = JSON.parse(JSON.stringify(storableSessions(user, noStalls, stage.clock.now()))) as RestoredSession[];
    const next = new PresenceStage();
    next.clock.pass(5000);
    const { since, lastSeen, v } = stage.entry('42');
    next.presence.restore('42', { since: since!, lastSeen, v }, stored, 25_000, next.clock.now());
    expect(next.entry('42')).toEqual(stage.entry('42'));
    for (const { device } of stored) next.begin('42', { device });
    expect(next.changes.filter(({ isShown }) => isShown)).toEqual([]);
    expect(next.entryFor('42', observer('eve'))).toEqual(stage.entry('42'));
  });
});
