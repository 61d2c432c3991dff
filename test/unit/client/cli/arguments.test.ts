/** What the commands say to a command line that asks for what is not there, and where they look for a hub. */
import { describe, expect, it } from 'vitest';
import { readAddress } from '../../../../client/cli/hub/address.ts';
import { run as beat } from '../../../../client/cli/commands/beat.ts';
import { run as demo } from '../../../../client/cli/demo/demo.ts';
import { run as friends } from '../../../../client/cli/commands/friends.ts';
import { run as watch } from '../../../../client/cli/commands/watch.ts';
import { testIo } from '../../../support/cli-io.ts';

const commands = { watch, beat, friends, demo };

describe('a wrong command line is one line that names the argument, and exit code 2', () => {
  it.each([
    ['watch', [], 'USER is missing'],
    ['watch', ['a b'], 'USER is "a b"'],
    ['watch', ['..'], 'USER is ".."'],
    ['watch', ['42', '43'], '"43" is an extra argument'],
    ['watch', ['42', '--colour'], '--colour is not a flag of this command'],
    ['watch', ['42', '--__proto__'], '--__proto__ is not a flag of this command'],
    ['watch', ['42', '--url', 'ftp://x'], '--url is "ftp://x"'],
    ['watch', ['42', '--url', 'http://u:p@x'], '--url is'],
    ['watch', ['42', '--url'], '--url needs a value'],
    ['watch', ['42', '--token', 'a', '--token-file', 'b'], '--token and --token-file exclude each other'],
    ['watch', ['42', '--token-file', '/nowhere/token'], '--token-file is "/nowhere/token"'],
    ['watch', ['42', '--token', ''], '--token: a token is one word'],
    ['watch', ['42', '--tls'], '--tls is not a flag of this command'],
    ['beat', ['42', '--token', '--tcp'], '--token needs a value'],
    ['friends', ['list', '42', '--token', 'a b'], '--token: a token is one word'],
    ['demo', ['--token', 'a\nb'], '--token: a token is one word'],
    ['watch', ['42', '--help=1'], '--help takes no value'],
    ['beat', ['42', '--tcp', '--ws'], '--ws and --tcp exclude each other'],
    ['beat', ['42', '--text', '--once'], '--text needs a value'],
    ['beat', ['42', '--status', 'offline'], '--status is "offline"'],
    ['beat', ['42', '--tcp', '--status', 'invisible'], '--status is invisible'],
    ['beat', ['42', '--tcp', '--text', 'hi'], '--text cannot be sent over TCP'],
    ['beat', ['42', '--text', 'x'.repeat(141)], '--text is 141 characters long'],
    ['beat', ['42', '--device', 'a\nb'], '--device is "a\\nb"'],
    ['beat', ['42', '--code', '7'], '--code requires --tcp'],
    ['beat', ['42', '--tcp', '--code', '-1'], '--code is "-1"'],
    ['beat', ['42', '--tcp', '--code', '7', '--status', 'away'], '--code and --status exclude each other'],
    ['beat', ['42', '--every', '0'], '--every is "0"'],
    ['beat', ['42', '--ttl', '5'], '--ttl requires --http'],
    ['beat', ['42', '--http', '--ttl', '86400001'], '--ttl is "86400001"'],
    ['beat', ['42', '--tcp', '--tcp-port', '65536'], '--tcp-port is "65536"'],
    ['friends', [], 'add, remove, list or import is missing'],
    ['friends', ['ad', '1', '2'], '"ad" is not add, remove, list or import'],
    ['friends', ['add', '1'], 'FRIEND is missing'],
    ['friends', ['remove', '1', '1'], 'FRIEND and USER are both 1'],
    ['friends', ['add', '1', '2', '--json'], '--json requires list'],
    ['friends', ['list', '1', '--oneway'], '--oneway cannot be used with list'],
    ['friends', ['import'], 'FILE is missing'],
    ['friends', ['import', '/nowhere/friends.csv'], 'FILE is "/nowhere/friends.csv"'],
    ['friends', ['import', '/'], 'FILE is "/": that is a directory'],
    ['demo', ['--users', '0'], '--users is "0"'],
    ['demo', ['--seed', 'x'], '--seed is "x"'],
    ['demo', ['a/b'], 'USER is "a/b"'],
  ] as const)('%s %j', async (command, args, named) => {
    const io = testIo();
    expect(await commands[command](args, io)).toBe(2);
    expect(io.stderr.text).toMatch(/^presence-hub: [^\n]+\n$/);
    expect(io.stderr.text).toContain(named);
    expect(io.stdout.text).toBe('');
  });
});

describe('help', () => {
  it.each(Object.entries(commands))('of %s goes to standard output, whatever else is wrong', async (name, run) => {
    const io = testIo();
    expect(await run(['--help', 'a b'], io)).toBe(0);
    expect(io.stdout.lines[0]).toContain(`presence-hub ${name}`);
    expect(io.stderr.text).toBe('');
  });
});

describe('where the hub is', () => {
  const at = (flags: Parameters<typeof readAddress>[0], env: Record<string, string> = {}) => {
    const read = readAddress(flags, env);
    return read.ok ? read.value : read.problem;
  };

  it('is this machine on the default ports by default', () => {
    expect(at({})).toEqual({
      http: 'http://127.0.0.1:8080',
      tcpHost: '127.0.0.1',
      tcpPort: 60_001,
      isTcpTls: false,
      isNamed: false,
    });
  });

  it('is what the environment says of a hub started here', () => {
    const env = { HUB_HOST: '0.0.0.0', HUB_PORT: '9000', HUB_TCP_HOST: '::', HUB_TCP_PORT: '9001' };
    expect(at({}, env)).toMatchObject({ http: 'http://127.0.0.1:9000', tcpHost: '::1', tcpPort: 9001 });
    expect(at({}, { HUB_HOST: '::1' })).toMatchObject({ http: 'http://[::1]:8080', tcpHost: '::1' });
  });

  it('is what --url and --tcp-port say before all', () => {
    const env = { HUB_HOST: '10.0.0.1', HUB_TCP_HOST: '10.0.0.2', HUB_TCP_PORT: '9001' };
    expect(at({ url: 'https://hub.example/base/', 'tcp-port': '7' }, env)).toEqual({
      http: 'https://hub.example/base',
      tcpHost: 'hub.example',
      tcpPort: 7,
      isTcpTls: true,
      isNamed: true,
    });
  });

  it('takes the address of the WebSocket too', () => {
    expect(at({ url: 'wss://hub.example' })).toMatchObject({ http: 'https://hub.example', isTcpTls: true });
    expect(at({ url: 'ws://hub.example:81' })).toMatchObject({ http: 'http://hub.example:81', isTcpTls: false });
  });

  it('uses TLS over TCP with --tls, or if the environment has a certificate', () => {
    expect(at({ url: 'http://hub.example', tls: true })).toMatchObject({ http: 'http://hub.example', isTcpTls: true });
    expect(at({}, { HUB_TLS_CERT: 'cert.pem' })).toMatchObject({ http: 'https://127.0.0.1:8080', isTcpTls: true });
  });

  it('ignores what Kubernetes injects for a Service called hub', () => {
    expect(at({}, { HUB_PORT: 'tcp://10.0.0.1:8080' })).toMatchObject({ http: 'http://127.0.0.1:8080' });
    expect(at({}, { HUB_TCP_PORT: 'tcp://10.0.0.1:60002' })).toMatchObject({ tcpPort: 60_001 });
  });

  it('cannot be distinguished from "any free port"', () => {
    expect(at({}, { HUB_PORT: '0' })).toContain('HUB_PORT is 0');
  });
});
