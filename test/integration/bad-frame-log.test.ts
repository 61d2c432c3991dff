/** What the operator reads about a bad frame: what is wrong with frames like it at `warn`, the value itself at `debug`. */
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import type { Logger } from '../../server/lib/log/log.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { tokenFor } from '../support/tokens.ts';

let hub: TestHub;
let warned: { readonly reason?: string; readonly says: string }[];
let debugged: { readonly reason?: string; readonly value?: string }[];
afterEach(() => hub.stop());

const start = async (settings: Partial<Config> = {}): Promise<void> => {
  warned = [];
  debugged = [];
  const log = {
    warn: (facts: object, says: string) => void warned.push({ ...facts, says }),
    debug: (facts: object) => void debugged.push(facts),
    info: () => undefined,
    isLevelEnabled: () => true,
  } as unknown as Logger;
  hub = await startTestHub({ tcpPort: 0, ...settings }, undefined, log);
};

it.each([
  ['user_id', '<protocol><user_id>a b</user_id></protocol>', '1 to 128 characters', 'a b'],
  ['user_id', '<protocol><user_state>1</user_state></protocol>', 'is missing', undefined],
  ['user_state', '<protocol user_id="42" user_state="busy\u202e"></protocol>', 'is not an integer', 'busy\\u{202e}'],
  ['device', `<protocol user_id="42" device="${'d'.repeat(70)}"></protocol>`, '1 to 64 characters', 'd'.repeat(64)],
  ['malformed', '<protocol><user_id>42</protocol>', 'well-formed', '<protocol><user_id>42</protocol>'],
  ['malformed', '<protocol><token>s3cret</user_id></protocol>', 'well-formed', '<protocol><'],
  [
    'doctype',
    '<!DOCTYPE x><protocol user_id="42"></protocol>',
    'DOCTYPE',
    '<!DOCTYPE x><protocol user_id="42"></protocol>',
  ],
  ['too_large', `<protocol><a>${'x'.repeat(9_000)}`, '8 KiB', `<protocol><a>${'x'.repeat(51)}`],
  ['too_large', Buffer.from(`<protocol>${'x'.repeat(9_000)}`, 'utf16le'), '8 KiB', `<protocol>${'x'.repeat(22)}`],
])('%s: %s', async (reason, bytes, says, value) => {
  await start();
  const client = await LegacyClient.open(hub.tcpPort);
  client.write(bytes);
  await hub.until(() => warned.length > 0);
  expect(warned).toMatchObject([{ reason, says: expect.stringContaining(says) as string }]);
  expect(JSON.stringify(warned)).not.toContain('s3cret');
  expect(debugged.map((line) => line.value)).toEqual(value === undefined ? [] : [value]);
  client.socket.destroy();
});

it('no token is shown, wherever it stands', async () => {
  await start();
  const client = await LegacyClient.open(hub.tcpPort);
  const token = await tokenFor('42');
  const places = [
    `<protocol><user_id>${token}!</user_id></protocol>`,
    `<protocol><user_id>42</user_id><device>${token}</device></protocol>`,
    `<protocol><${token}</protocol>`,
  ];
  for (const [i, place] of places.entries()) {
    client.write(place);
    await hub.until(() => warned.length > i);
    hub.clock.pass(1_000);
  }
  expect(JSON.stringify([warned, debugged])).not.toContain(token.slice(0, 10));
  client.socket.destroy();
});

it('a frame without TLS is explained as such if TLS is required', async () => {
  const certificate = (kind: string) =>
    fileURLToPath(new URL(`../support/certificates/first.${kind}.pem`, import.meta.url));
  await start({ tlsCert: certificate('crt'), tlsKey: certificate('key'), tcpTls: 'require' });
  const client = await LegacyClient.open(hub.tcpPort);
  client.write('<protocol><user_id>42</user_id></protocol>');
  await client.closed;
  expect(warned).toMatchObject([
    { reason: 'malformed', says: expect.stringContaining('HUB_TCP_TLS=require') as string },
  ]);
});
