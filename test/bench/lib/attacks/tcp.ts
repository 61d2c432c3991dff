/**
 * Attacks on the legacy TCP port: frames without end, frames that cost, frames of new users, blanks, single bytes, and
 * connections that hold still.
 */
import { xmlFrame } from '../tcp-client.ts';
import { bytesOf, CHUNK_BYTES, chunkOf, chunksOf, cut, inTurn, type Attack } from './attack.ts';

/** As the hub has it: a frame may not be longer. */
const MAX_FRAME_BYTES = 8192;
const USERS_A_PIECE = 500;
/** A zone of an address, which a hub must not store. */
const ZONE_CHARS = 400;

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
const badFrames = [
  '<protocol><user_id></user_id></protocol>',
  '<protocol><user_id>1</user_id><user_state>x</user_state></protocol>',
  '<protocol><user_id>1</user></protocol>',
  '<protocol>&#0;</protocol>',
  '<protocol/></protocol>',
  '</protocol>',
].map((text) => Buffer.from(text));
const largeFrame = Buffer.from(
  `<protocol><user_id>attacker0</user_id><x>${'y'.repeat(MAX_FRAME_BYTES - 100)}</x></protocol>`,
);

/** A gateway whose every frame has a new user. */
function newUsers(name: string, extra: string): () => Buffer {
  let no = 0;
  return () => {
    let text = '';
    for (let end = no + USERS_A_PIECE; no < end; no += 1)
      text += `<protocol><user_id>${name}-${no.toString(36)}</user_id>${extra}</protocol>`;
    return Buffer.from(text);
  };
}

export const tcpAttacks: readonly Attack[] = [
  {
    name: 'tcp-endless',
    target: 'tcp',
    about: 'frames without an end',
    start: (crowd, { width }) => crowd.flood(width, () => endless),
  },
  {
    name: 'tcp-bombs',
    target: 'tcp',
    about: 'entities of entities, external entities, deep nesting',
    start: (crowd, { width }) => crowd.flood(width, inTurn(bombs)),
  },
  {
    name: 'tcp-drip',
    target: 'tcp',
    about: 'frames at a byte a second',
    start: (crowd, { held }) => crowd.drip(held / 10, xmlFrame('attacker0')),
  },
  {
    name: 'tcp-half-open',
    target: 'tcp',
    about: 'connections that send nothing, or half a frame',
    start: (crowd, { held }) => crowd.hold(held, (no) => (no % 2 === 0 ? undefined : halfFrame)),
  },
  {
    name: 'tcp-storm',
    target: 'tcp',
    about: 'connections that end at once',
    start: (crowd, { width }) => crowd.storm(width, halfFrame),
  },
  {
    name: 'tcp-garbage',
    target: 'tcp',
    about: 'random bytes',
    start: (crowd, { width, random }) => {
      const pieces = Array.from({ length: 4 }, () => bytesOf(random, CHUNK_BYTES));
      crowd.flood(width, inTurn(pieces));
    },
  },
  {
    name: 'tcp-flood',
    target: 'tcp',
    about: 'good frames of 200 users',
    start: (crowd, { width }) => crowd.flood(width, () => attackerFrames),
  },
  {
    name: 'tcp-new-users',
    target: 'tcp',
    about: 'a new user in every frame (gateway)',
    start: (crowd, { width, random }) => crowd.flood(width, newUsers(`new-${random.below(1e9)}`, '')),
  },
  {
    name: 'tcp-new-padded',
    target: 'tcp',
    about: 'new users whose address has a long zone',
    start: (crowd, { width, random }) => {
      const zone = `<user_ip>fe80::1%${'A'.repeat(ZONE_CHARS)}</user_ip>`;
      crowd.flood(width, newUsers(`padded-${random.below(1e9)}`, zone));
    },
  },
  {
    name: 'tcp-bad-frames',
    target: 'tcp',
    about: 'small frames that are wrong, good ones among them',
    start: (crowd, { width, random }) => {
      const frames = [...badFrames, xmlFrame('attacker1'), xmlFrame('attacker2')];
      crowd.flood(width, inTurn(chunksOf(random, () => random.pick(frames))));
    },
  },
  {
    name: 'tcp-large-frames',
    target: 'tcp',
    about: 'good frames as large as they may be',
    start: (crowd, { width }) => crowd.flood(width, inTurn([chunkOf(() => largeFrame)])),
  },
  {
    name: 'tcp-blanks',
    target: 'tcp',
    about: 'NUL bytes and white space between frames',
    start: (crowd, { width, random }) => {
      const blanks = ['\0', ' ', '\n', '\r\n', '\t', '\ufeff'].map((blank) => Buffer.from(blank));
      const pieces = blanks.map((blank) => chunkOf(() => blank));
      crowd.flood(width, inTurn([...pieces, ...chunksOf(random, () => random.pick(blanks))]));
    },
  },
  {
    name: 'tcp-bytes',
    target: 'tcp',
    about: 'good frames, one byte in a packet',
    start: (crowd, { width }) => {
      const bytes = Array.from(attackerFrames, (byte) => Buffer.from([byte]));
      crowd.flood(width, inTurn(bytes));
    },
  },
  {
    name: 'tcp-cut',
    target: 'tcp',
    about: 'good frames, cut at random bytes',
    start: (crowd, { width, random }) => crowd.flood(width, inTurn(cut(random, attackerFrames, 90))),
  },
];
