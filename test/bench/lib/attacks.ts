/**
 * The attacks by name: what each sends and to which door. All of it may come from anyone who can reach a port. Started in
 * the role `attackers`; a new attack is a row here.
 */
import { Crowd, type Door } from './crowd.ts';
import { Random } from './random.ts';
import { xmlFrame } from './tcp-client.ts';
import { clientFrame, opcodes, textFrame, upgradeRequest } from './ws-frames.ts';

export interface AttackScale {
  /** Connections of a flood. */
  readonly width: number;
  /** Connections that hold still. */
  readonly held: number;
}

export interface Attack {
  readonly name: string;
  readonly door: 'tcp' | 'ws';
  readonly start: (crowd: Crowd, scale: AttackScale, port: number) => void;
}

const CHUNK_BYTES = 65_536;
const random = new Random(5);
const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random.below(256)));
const garbage = Array.from({ length: 8 }, () => bytesOf(CHUNK_BYTES));
const endless = Buffer.from(`<protocol><user_id>${'x'.repeat(CHUNK_BYTES)}`);
const many = (text: string, times: number): Buffer => Buffer.from(text.repeat(times));
const bomb =
  '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>' +
  '<protocol><user_id>&c;</user_id></protocol>';
const external = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><protocol><user_id>&x;</user_id></protocol>';
const nested = `<protocol>${'<a>'.repeat(1200)}${'</a>'.repeat(1200)}<user_id>1</user_id></protocol>`;
const bombs = [many(bomb, 40), many(external, 40), many(nested, 4)];
const attackerFrames = Buffer.concat(Array.from({ length: 200 }, (_, no) => xmlFrame(`attacker${no}`, 1 + (no % 3))));
const halfFrame = Buffer.from('<protocol><user_id>half');
const hello = (no: number): Buffer => textFrame({ type: 'hello', user: `attacker${no % 200}` });
const flips = Buffer.concat(
  Array.from({ length: 100 }, (_, no) =>
    textFrame({ type: 'heartbeat', status: no % 2 === 0 ? 'away' : 'online', text: `flood ${no}`, id: no }),
  ),
);
const watches = Buffer.concat(
  Array.from({ length: 20 }, () =>
    textFrame({ type: 'watch', users: Array.from({ length: 500 }, (_, no) => `u${no}`) }),
  ),
);
const large = clientFrame(0x80 | opcodes.text, Buffer.alloc(20_000, 'x'));
const huge = clientFrame(0x80 | opcodes.text, Buffer.alloc(3 * 1_048_576, 'x'));
const slowHead = Buffer.from(`GET /v1/presence/1 HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}`);
const pick = (pieces: readonly Buffer[]) => (no: number) => pieces[no % pieces.length] ?? halfFrame;

export const attacks: readonly Attack[] = [
  { name: 'tcp-endless', door: 'tcp', start: (crowd, { width }) => crowd.flood(width, () => endless) },
  { name: 'tcp-bombs', door: 'tcp', start: (crowd, { width }) => crowd.flood(width, pick(bombs)) },
  { name: 'tcp-drip', door: 'tcp', start: (crowd, { held }) => crowd.drip(held / 10, xmlFrame('attacker0')) },
  {
    name: 'tcp-half-open',
    door: 'tcp',
    start: (crowd, { held }) => crowd.hold(held, (no) => (no % 2 === 0 ? undefined : halfFrame)),
  },
  { name: 'tcp-storm', door: 'tcp', start: (crowd, { width }) => crowd.storm(width, halfFrame) },
  { name: 'tcp-garbage', door: 'tcp', start: (crowd, { width }) => crowd.flood(width, pick(garbage)) },
  { name: 'tcp-flood', door: 'tcp', start: (crowd, { width }) => crowd.flood(width, () => attackerFrames) },
  {
    name: 'ws-drip',
    door: 'ws',
    start: (crowd, { held }, port) => {
      crowd.drip(held / 20, upgradeRequest(port));
      crowd.drip(held / 20, slowHead);
    },
  },
  { name: 'ws-silent', door: 'ws', start: (crowd, { held }, port) => crowd.hold(held / 2, () => upgradeRequest(port)) },
  {
    name: 'ws-oversize',
    door: 'ws',
    start: (crowd, { width }, port) => {
      crowd.flood(width / 2, () => large, Buffer.concat([upgradeRequest(port), hello(0)]));
      crowd.flood(width / 10, () => huge, Buffer.concat([upgradeRequest(port), hello(1)]));
    },
  },
  {
    name: 'ws-flood',
    door: 'ws',
    start: (crowd, { width }, port) => {
      const first = (no: number): Buffer => Buffer.concat([upgradeRequest(port), hello(no)]);
      crowd.flood(width / 2, () => flips, first(2));
      crowd.flood(width / 4, () => watches, first(3));
      // The same from those who do not read what they asked for.
      crowd.flood(width / 4, () => watches, first(4), false);
    },
  },
  { name: 'ws-storm', door: 'ws', start: (crowd, { width }, port) => crowd.storm(width, upgradeRequest(port)) },
  { name: 'http-garbage', door: 'ws', start: (crowd, { width }) => crowd.flood(width, pick(garbage)) },
];

export function startAttack(name: string, door: Door, scale: AttackScale): Crowd {
  const attack = attacks.find((one) => one.name === name);
  if (attack === undefined) throw new Error(`no attack ${name}`);
  const crowd = new Crowd(door);
  attack.start(crowd, scale, door.port);
  return crowd;
}
