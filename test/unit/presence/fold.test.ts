/** The fold of many sessions to one entry (PROTOCOL.md section 1), seen through the core. */
import { describe, expect, it } from 'vitest';
import type { SessionStatus } from '../../../shared/status.ts';
import { PresenceStage } from '../../support/presence-stage.ts';

const ORDER: readonly SessionStatus[] = ['away', 'online', 'busy', 'invisible'];

function shown(stage: PresenceStage): unknown {
  const { status, code, devices, text } = stage.entry('42');
  return { status, code, devices, text };
}

describe('the status of a user', () => {
  it('is offline, with the offline code and no devices, without a session (I4)', () => {
    expect(shown(new PresenceStage())).toEqual({ status: 'offline', code: -1, devices: [], text: undefined });
  });

  for (const [rank, weaker] of ORDER.entries()) {
    for (const stronger of ORDER.slice(rank + 1)) {
      it(`is decided by ${stronger} against ${weaker}, whichever came first (I5)`, () => {
        for (const pair of [
          [weaker, stronger],
          [stronger, weaker],
        ] as const) {
          const stage = new PresenceStage();
          for (const [i, status] of pair.entries()) stage.begin('42', { status, device: `d${i}` });
          expect(stage.entry('42').status).toBe(stronger === 'invisible' ? 'offline' : stronger);
        }
      });
    }
  }

  it('is invisible to the user itself and offline to all others, without devices or text (I5)', () => {
    const stage = new PresenceStage();
    stage.begin('42', { text: 'here', device: 'phone' });
    stage.begin('42', { status: 'invisible' });
    expect(shown(stage)).toEqual({ status: 'offline', code: -1, devices: [], text: undefined });
    const { status, devices, text } = stage.users.peek('42').fold;
    expect({ status, devices, text }).toEqual({ status: 'invisible', devices: ['phone', 'web'], text: 'here' });
  });

  it('is what remains when the session that decided ends', () => {
    const stage = new PresenceStage();
    stage.begin('42', { status: 'away' });
    const busy = stage.begin('42', { status: 'busy' });
    stage.leave(busy);
    expect(stage.entry('42').status).toBe('away');
  });
});

describe('the code of a user', () => {
  it('is that of the winning session whose status was set last (I6)', () => {
    const stage = new PresenceStage();
    const first = stage.begin('42', { code: 5 });
    stage.begin('42', { code: 6 });
    expect(stage.entry('42').code).toBe(6);
    stage.say(first, { status: 'away', code: 2 });
    stage.say(first, { status: 'online', code: 7 });
    expect(stage.entry('42').code).toBe(7);
  });

  it('is not decided by a session with a weaker status, however late it was set', () => {
    const stage = new PresenceStage();
    stage.begin('42', { status: 'busy', code: 3 });
    stage.begin('42', { status: 'online', code: 9 });
    expect(stage.entry('42').code).toBe(3);
  });

  it('stays with who set it last when another session repeats itself (I7)', () => {
    const stage = new PresenceStage();
    const first = stage.begin('42', { code: 5 });
    stage.begin('42', { code: 6 });
    expect(stage.say(first, { status: 'online', code: 5 })).toBeUndefined();
    expect(stage.entry('42').code).toBe(6);
  });

  it('counts as set when it alone changes (I7)', () => {
    const stage = new PresenceStage();
    const first = stage.begin('42', { code: 5 });
    stage.begin('42', { code: 6 });
    stage.say(first, { status: 'online', code: 7 });
    expect(stage.entry('42').code).toBe(7);
  });

  it('falls back to the one set last before when its session ends', () => {
    const stage = new PresenceStage();
    stage.begin('42', { code: 4 });
    stage.begin('42', { code: 5 });
    const last = stage.begin('42', { code: 6 });
    stage.leave(last);
    expect(stage.entry('42').code).toBe(5);
  });
});

describe('the text of a user', () => {
  it('is the one set last by a live session, whatever its status (I6)', () => {
    const stage = new PresenceStage();
    stage.begin('42', { status: 'busy', text: 'on the phone' });
    const away = stage.begin('42', { status: 'away', text: 'lunch' });
    expect(stage.entry('42').text).toBe('lunch');
    stage.leave(away);
    expect(stage.entry('42').text).toBe('on the phone');
  });

  it('is cleared by an empty one that was set last', () => {
    const stage = new PresenceStage();
    stage.begin('42', { text: 'hi' });
    const other = stage.begin('42', { text: 'ho', device: 'phone' });
    stage.say(other, { text: '' });
    expect(stage.entry('42')).not.toHaveProperty('text');
  });

  it('stands when a session begins that says none', () => {
    const stage = new PresenceStage();
    stage.begin('42', { text: 'hi' });
    stage.begin('42');
    expect(stage.entry('42').text).toBe('hi');
  });

  it('is not set by a repetition (I7)', () => {
    const stage = new PresenceStage();
    const first = stage.begin('42', { text: 'hi' });
    stage.begin('42', { text: 'ho' });
    expect(stage.say(first, { text: 'hi' })).toBeUndefined();
    expect(stage.entry('42').text).toBe('ho');
  });

  it('is not set by a new status, nor the status by a new text', () => {
    const stage = new PresenceStage();
    const first = stage.begin('42', { text: 'hi', code: 5 });
    const second = stage.begin('42', { text: 'ho', code: 6 });
    stage.say(first, { code: 7 });
    expect(stage.entry('42').text).toBe('ho');
    stage.say(second, { text: 'hum' });
    expect(stage.entry('42').code).toBe(7);
  });
});

describe('the devices of a user', () => {
  it('are the labels of the live sessions, unique and sorted by code unit (I12)', () => {
    const stage = new PresenceStage();
    for (const device of ['web', 'legacy', 'Zed', 'web', 'ä']) stage.begin('42', { device });
    expect(stage.entry('42').devices).toEqual(['Zed', 'legacy', 'web', 'ä']);
  });

  it('lose a label with its last session only', () => {
    const stage = new PresenceStage();
    stage.begin('42', { device: 'phone' });
    const tabs = [stage.begin('42'), stage.begin('42')] as const;
    expect(stage.leave(tabs[0])).toBeUndefined();
    expect(stage.entry('42').devices).toEqual(['phone', 'web']);
    stage.leave(tabs[1]);
    expect(stage.entry('42').devices).toEqual(['phone']);
  });

  it('follow a session that names another device', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { device: 'old' });
    expect(stage.say(session, { device: 'new' })?.isShown).toBe(true);
    expect(stage.entry('42').devices).toEqual(['new']);
  });

  it('of one entry are no window into another: a reader may change its copy', () => {
    const stage = new PresenceStage();
    stage.begin('42');
    stage.begin('7');
    stage.entry('42').devices.push('forged');
    expect(stage.entry('42').devices).toEqual(['web']);
    expect(stage.entry('7').devices).toEqual(['web']);
  });
});
