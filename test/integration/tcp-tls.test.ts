/** TLS on the TCP port (HUB_TLS_CERT, HUB_TCP_TLS): one port takes both, and legacy clients change nothing. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TcpXmlOptions } from '../../server/adapters/tcp-xml/options.ts';
import { openTlsFiles, type TlsFiles } from '../../server/lib/net/tls-files.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { startTcpHub } from '../support/tcp-hub.ts';
import { cidrs, TcpStage } from '../support/tcp-stage.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../support/certificates/${name}`, import.meta.url));
const ca = ['first', 'second'].map((name) => readFileSync(fixture(`${name}.crt.pem`)));
const tls = { ca, checkServerIdentity: () => undefined };
const ack = (user: string, state: number): string => `<ack user_id="${user}" state="${state}"/>`;
const POLL = { interval: 5, timeout: 10_000 };

let folder: string;
let files: TlsFiles;
let stage: TcpStage | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-tls-'));
});
afterEach(async () => {
  await stage?.close();
  stage = undefined;
  rmSync(folder, { recursive: true });
});

const usePair = (name: 'first' | 'second'): void => {
  copyFileSync(fixture(`${name}.crt.pem`), join(folder, 'crt.pem'));
  copyFileSync(fixture(`${name}.key.pem`), join(folder, 'key.pem'));
};
const paths = (): { certPath: string; keyPath: string } => ({
  certPath: join(folder, 'crt.pem'),
  keyPath: join(folder, 'key.pem'),
});
const start = async (options: Partial<TcpXmlOptions> = {}): Promise<TcpStage> => {
  usePair('first');
  const read = await openTlsFiles({ certName: 'A_CERT', keyName: 'A_KEY', ...paths() });
  if (!read.ok) throw new Error(read.problem);
  files = read.value;
  stage = await TcpStage.open({ tls: files, ...options });
  return stage;
};
const certificateOf = ({ socket }: LegacyClient): string | undefined =>
  socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined;

describe('a port with a certificate', () => {
  it('takes TLS and plain connections (T22)', async () => {
    const opened = await start();
    const [safe, plain] = [await opened.connect({ tls }), await opened.connect()];
    safe.beat('42', 2);
    plain.beat('7');
    await safe.waitFor(ack('42', 2));
    await plain.waitFor(ack('7', 1));
  });

  it('of a whole hub does, too', async () => {
    usePair('first');
    const { certPath: tlsCert, keyPath: tlsKey } = paths();
    const hub = await startTcpHub({ tlsCert, tlsKey, tcpAck: true });
    try {
      const [safe, plain] = [await hub.open({ tls }), await hub.open()];
      safe.beat('42');
      plain.beat('7');
      await safe.waitFor(ack('42', 1));
      await plain.waitFor(ack('7', 1));
    } finally {
      await hub.stop();
    }
  });

  it('knows where a session is, in TLS too', async () => {
    const opened = await start();
    const client = await opened.connect({ tls, from: '127.0.0.2' });
    client.beat('42');
    await client.waitFor(ack('42', 1));
    expect(opened.session('42')?.address).toMatch(/^127\.0\.0\.2:\d+$/);
  });

  it('takes a PROXY header before the handshake', async () => {
    const opened = await start({ trustedProxies: cidrs('127.0.0.9') });
    const header = 'PROXY TCP4 10.0.0.7 10.0.0.1 5222 60001\r\n';
    const clients = [
      await opened.connect({ tls, from: '127.0.0.9', before: header }),
      await opened.connect({ from: '127.0.0.9', before: header }),
    ];
    for (const [user, client] of clients.entries()) {
      client.beat(`${user}`);
      await client.waitFor(ack(`${user}`, 1));
      expect(opened.session(`${user}`)?.address).toBe('10.0.0.7:5222');
    }
  });

  it('carries frames of any size and number, in order', async () => {
    const opened = await start();
    const client = await opened.connect({ tls });
    const pad = `<pad>${'x'.repeat(7_000)}</pad>`;
    for (let state = 1; state <= 100; state++) {
      client.write(`<protocol><user_id>42</user_id><user_state>${state}</user_state>${pad}</protocol>`);
    }
    await client.waitFor(ack('42', 100));
    expect([...client.received.matchAll(/state="(\d+)"/g)].map(([, state]) => Number(state))).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });

  it('takes a renewed certificate over, and the connections of before stay (S9)', async () => {
    const opened = await start();
    const before = await opened.connect({ tls });
    usePair('second');
    await files.check();
    const after = await opened.connect({ tls });
    expect(certificateOf(after)).not.toBe(certificateOf(before));
    for (const client of [before, after]) {
      client.beat('42');
      await client.waitFor(ack('42', 1));
    }
  });

  it('gives a cut TLS connection the grace, like any other', async () => {
    const opened = await start();
    const client = await opened.connect({ tls });
    client.beat('42');
    await client.waitFor(ack('42', 1));
    const session = opened.session('42');
    client.reset();
    await expect.poll(() => session?.phase, POLL).toBe('grace');
    expect(opened.tcp.connectionCount).toBe(0);
  });

  it('is free of a handshake that stalls within the time of a first frame', async () => {
    const opened = await start();
    const stalled = await opened.connect();
    stalled.write(Buffer.from([0x16, 3, 1, 2, 0]));
    const silent = await opened.connect();
    await expect.poll(() => opened.tcp.connectionCount, POLL).toBe(2);
    opened.pass(30_100);
    await Promise.all([stalled.closed, silent.closed]);
    expect(opened.refused).toEqual(['slow_sender', 'slow_sender']);
  });

  it('lives through a handshake that is none', async () => {
    const opened = await start();
    const noise = await opened.connect();
    noise.write(Buffer.concat([Buffer.from([0x16]), Buffer.alloc(5_000, 'x')]));
    await noise.closed;
    await expect.poll(() => opened.tcp.connectionCount, POLL).toBe(0);
    const good = await opened.connect({ tls });
    good.beat('42');
    await good.waitFor(ack('42', 1));
  });
});

describe('HUB_TCP_TLS=require', () => {
  it('cuts plain connections, counts them as malformed, and takes TLS (T22)', async () => {
    const opened = await start({ tlsMode: 'require' });
    const plain = await opened.connect();
    plain.write(frame('42'));
    await plain.closed;
    expect(plain.received).toBe('');
    expect(opened.bad).toEqual(['malformed']);
    expect(opened.session('42')).toBeUndefined();
    const safe = await opened.connect({ tls });
    safe.beat('42');
    await safe.waitFor(ack('42', 1));
  });
});

describe('a client that asks for another handshake', () => {
  it('on the same connection is not given one (T22)', async () => {
    const opened = await start();
    const client = await opened.connect({ tls: { ...tls, maxVersion: 'TLSv1.2' } });
    client.beat('42');
    await client.waitFor(ack('42', 1));
    const { socket } = client;
    if (!(socket instanceof TLSSocket)) throw new Error('no TLS');
    const refusal = await new Promise((resolve) => {
      socket.once('error', resolve);
      socket.once('close', resolve);
      socket.renegotiate({}, resolve);
    });
    expect(refusal).toMatchObject({ code: expect.stringMatching(/NO_RENEGOTIATION/) as string });
  });

  it('is not given one after the certificate was renewed either', async () => {
    const opened = await start();
    usePair('second');
    await files.check();
    const client = await opened.connect({ tls: { ...tls, maxVersion: 'TLSv1.2' } });
    const { socket } = client;
    if (!(socket instanceof TLSSocket)) throw new Error('no TLS');
    const refusal = await new Promise((resolve) => {
      socket.once('error', resolve);
      socket.renegotiate({}, resolve);
    });
    expect(refusal).toMatchObject({ code: expect.stringMatching(/NO_RENEGOTIATION/) as string });
  });

  it('gets its first one however its hello is cut', async () => {
    const opened = await start();
    const raw = await opened.connect();
    const cut = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        for (const byte of chunk) raw.socket.write(Buffer.from([byte]));
        done();
      },
    });
    raw.socket.on('data', (chunk) => cut.push(chunk));
    const safe = connectTls({ ...tls, socket: cut });
    await new Promise((resolve) => safe.once('secureConnect', resolve));
    safe.write(frame('42', 2));
    await expect.poll(() => opened.session('42')?.code, POLL).toBe(2);
    safe.destroy();
  });
});
