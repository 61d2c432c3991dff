/** All attacks by name. Each group has its own file in this folder. */
import { Crowd, type Door } from '../crowd.ts';
import { Random } from '../random.ts';
import type { Attack, AttackScale } from './attack.ts';
import { httpAttacks } from './http.ts';
import { tcpAttacks } from './tcp.ts';
import { wsFrameAttacks } from './ws-frames.ts';
import { wsMessageAttacks } from './ws-messages.ts';

export const attacks: readonly Attack[] = [...tcpAttacks, ...wsFrameAttacks, ...wsMessageAttacks, ...httpAttacks];

export function attackNamed(name: string): Attack {
  const attack = attacks.find((one) => one.name === name);
  if (attack === undefined)
    throw new Error(`no attack ${name}: there are ${attacks.map((one) => one.name).join(', ')}`);
  return attack;
}

/** The attacks of a comma-separated list, or all if there is no list. An entry may be a prefix, such as `ws-`. */
export function attacksNamed(list: string | undefined): readonly Attack[] {
  if (list === undefined) return attacks;
  const chosen = list.split(',').flatMap((start) => {
    const exact = attacks.filter(({ name }) => name === start);
    return exact.length > 0 ? exact : attacks.filter(({ name }) => start !== '' && name.startsWith(start));
  });
  if (chosen.length === 0) attackNamed(list);
  return chosen;
}

export function startAttack(name: string, seed: number, door: Door, scale: AttackScale): Crowd {
  const crowd = new Crowd(door);
  attackNamed(name).start(crowd, { ...scale, port: door.port, random: new Random(seed) });
  return crowd;
}

/** A line for each, for `--help`. */
export function describeAttacks(): string[] {
  return attacks.map(({ name, about }) => `  ${name.padEnd(19)} ${about}`);
}
