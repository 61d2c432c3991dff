/**
 * What every engine must do with TLS beyond what it does without: which version, what is no TLS, and a new certificate
 * while others are connected. Part of engine-contract.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TlsFiles } from '../../server/lib/net/tls-files.ts';
import type { Engine } from '../../server/sockets/port.ts';
import { certificateFile } from '../support/certificate-file.ts';
import { openFiles, Raw, Rig } from './engine-rig.ts';

export function tlsContract(engine: Engine): void {
  let folder: string;
  let tls: TlsFiles;
  let rig: Rig;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tls-contract-'));
    await renew('first');
    tls = await openFiles(join(folder, 'crt'), join(folder, 'key'));
    rig = await Rig.start({ ...engine, tls });
  });
  afterEach(async () => {
    await rig.stop();
    tls.stop();
    await rm(folder, { recursive: true });
  });

  async function renew(name: 'first' | 'second'): Promise<void> {
    for (const kind of ['crt', 'key']) await copyFile(certificateFile(`${name}.${kind}`), join(folder, kind));
  }

  /** The name in the certificate that a new client is shown, or why it gets no connection. */
  function greeted(version?: SecureVersion): Promise<string | undefined> {
    return new Promise((resolve) => {
      const wire: TLSSocket = connect({
        port: rig.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        // Else this end would refuse TLS 1.1 before the hub gets to.
        ...(version && { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }),
      });
      wire.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      wire.once('secureConnect', () => {
        resolve(String(wire.getPeerCertificate().subject.CN));
        wire.destroy();
      });
    });
  }

  describe('TLS', () => {
    it.each(['TLSv1.2', 'TLSv1.3'] as const)('is spoken as %s', async (version) => {
      expect(await greeted(version)).toBe('first.example');
    });

    it('is not spoken as TLSv1.1', async () => {
      expect(await greeted('TLSv1.1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    });

    it('cuts a client that does not speak it, whatever it says, and takes no harm', async () => {
      for (const words of ['GET / HTTP/1.1\r\nhost: hub\r\n\r\n', '\0'.repeat(16), '<protocol/>']) {
        const raw = new Raw(connectPlain(rig.port, '127.0.0.1'));
        raw.write(words);
        // Perhaps with a TLS alert, but with no word of HTTP.
        expect(await raw.closed).not.toContain('HTTP');
      }
      expect(rig.requests.rest()).toEqual([]);
      expect(await greeted()).toBe('first.example');
    });
  });

  describe('a new certificate', () => {
    it('is shown to new clients, again and again, and those who are there stay', async () => {
      const { client, hub } = await rig.connect();
      const http = rig.raw();
      http.write('GET /before HTTP/1.1\r\nhost: hub\r\n\r\n');
      await http.until((text) => text.endsWith('GET /before'));
      const clients = [{ client, hub }];
      for (const name of ['second', 'first', 'second'] as const) {
        await renew(name);
        await tls.check();
        for (let i = 0; i < 3; i++) expect(await greeted()).toBe(`${name}.example`);
        clients.push(await rig.connect());
      }
      for (const { client: one, hub: its } of clients) {
        one.ws.send('there?');
        expect(await its.events.next()).toBe('message there?');
        its.socket.send('here');
        expect(await one.messages.next()).toBe('here');
        expect(its.socket.remoteAddress).toBe('127.0.0.1');
      }
      http.write('GET /after HTTP/1.1\r\nhost: hub\r\n\r\n');
      await http.until((text) => text.endsWith('GET /after'));
    });

    it('refuses nobody who comes while it is taken over', async () => {
      await renew('second');
      const before = Array.from({ length: 20 }, () => greeted());
      const taken = tls.check();
      const meanwhile = Array.from({ length: 20 }, () => greeted());
      await taken;
      const after = Array.from({ length: 20 }, () => greeted());
      const names = await Promise.all([...before, ...meanwhile, ...after]);
      for (const name of names) expect(name).toMatch(/^(first|second)\.example$/);
      expect(new Set(names.slice(40))).toEqual(new Set(['second.example']));
    });

    it('leaves the port with the hub alone', async () => {
      await renew('second');
      await tls.check();
      const late = Rig.start(engine, '127.0.0.1', rig.port);
      await expect(late).rejects.toMatchObject({ code: 'EADDRINUSE' });
    });

    it('does not keep the hub from cutting everybody at its end', async () => {
      const clients = [await rig.connect()];
      for (const name of ['second', 'first'] as const) {
        await renew(name);
        await tls.check();
        clients.push(await rig.connect());
      }
      await rig.listening.close();
      for (const { client, hub } of clients) {
        expect(hub.events.rest()).toEqual(['closed']);
        expect((await client.closed).code).toBe(1006);
      }
      // Nobody takes it over any more.
      await renew('second');
      await tls.check();
      expect(await greeted()).toBe('ECONNREFUSED');
    });
  });
}
