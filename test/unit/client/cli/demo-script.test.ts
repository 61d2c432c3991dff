/** The scenario of the demo: repeatable by its seed, and with everything in it that a newcomer should see. */
import { describe, expect, it } from 'vitest';
import {
  describeAct,
  nextAct,
  createScenario,
  type Act,
  type Person,
} from '../../../../client/cli/demo/demo-script.ts';
import { isUserId, text } from '../../../../shared/ids.ts';

function liveOf(person: Person, acts: number): Act[] {
  let isHere = false;
  return Array.from({ length: acts }, () => {
    const { act } = nextAct(person, isHere);
    if (act.kind === 'come') isHere = true;
    if (act.kind === 'leave') isHere = false;
    return act;
  });
}

describe('the scenario', () => {
  it('is the same for the same seed, and another for another', () => {
    const plot = (seed: number) => {
      const { people, friendships } = createScenario(seed, 20);
      return JSON.stringify([people, friendships, people.map((person) => liveOf(person, 30))]);
    };
    expect(plot(7)).toBe(plot(7));
    expect(plot(7)).not.toBe(plot(8));
  });

  it('has as many people as asked, half over each adapter, with ids of their own', () => {
    const { people } = createScenario(1, 100);
    expect(new Set(people.map(({ user }) => user)).size).toBe(100);
    expect(people.filter(({ adapter }) => adapter === 'tcp-xml')).toHaveLength(50);
    expect(people.every(({ user }) => isUserId(user))).toBe(true);
    expect(people.filter(({ firstComesAfterMs }) => firstComesAfterMs < 3_000).length).toBeGreaterThan(50);
  });

  it.each([2, 3, 100])('gives each of %d some friends, and nobody oneself', (count) => {
    const { people, friendships } = createScenario(1, count);
    const befriended = new Set(friendships.flat());
    expect(befriended.size).toBe(people.length);
    expect(friendships.filter(([a, b]) => a === b)).toEqual([]);
    expect(new Set(friendships.map((pair) => pair.join(' '))).size).toBe(friendships.length);
  });

  it('of one person alone is possible', () => {
    expect(createScenario(1, 1)).toMatchObject({ people: [{ user: 'ada.1' }], friendships: [] });
  });

  it('has every kind of act in it, and each has a description', () => {
    const acts = createScenario(1, 100).people.flatMap((person) => liveOf(person, 20));
    expect(new Set(acts.map(({ kind }) => kind))).toEqual(
      new Set(['come', 'leave', 'status', 'text', 'reload', 'lose']),
    );
    for (const act of acts) expect(describeAct('ada.1', act)).toMatch(/^ada\.1\W? ?.+/u);
  });

  it('lets nobody over TCP say a text, which XML heartbeats do not carry', () => {
    const legacy = createScenario(1, 100).people.filter(({ adapter }) => adapter === 'tcp-xml');
    const kinds = legacy.flatMap((person) => liveOf(person, 50)).map(({ kind }) => kind);
    expect(kinds).not.toContain('text');
  });

  it('has reloads that return within the grace, and losses that do not', () => {
    const acts = createScenario(1, 100).people.flatMap((person) => liveOf(person, 50));
    for (const act of acts) {
      if (act.kind === 'reload') expect(act.backAfterMs).toBeLessThan(1_000);
      if (act.kind === 'lose') expect(act.backAfterMs).toBeGreaterThan(3_000);
      if (act.kind === 'text') expect(text.safeParse(act.text).success).toBe(true);
    }
  });
});
