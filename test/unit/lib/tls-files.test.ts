import { generateKeyPairSync } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTlsFiles, type TlsFiles } from '../../../server/lib/net/tls-files.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../support/certificates/${name}.pem`, import.meta.url));

let folder: string;
let certPath: string;
let keyPath: string;
const toStop: TlsFiles[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-files-'));
  certPath = join(folder, 'hub.crt');
  keyPath = join(folder, 'hub.key');
  await put('first', 'first');
});

afterEach(async () => {
  for (const files of toStop.splice(0)) files.stop();
  await rm(folder, { recursive: true });
});

async function put(cert: string, key: string): Promise<void> {
  await copyFile(fixture(`${cert}.crt`), certPath);
  await copyFile(fixture(`${key}.key`), keyPath);
}

const read = () => openTlsFiles({ certName: 'HUB_TLS_CERT', certPath, keyName: 'HUB_TLS_KEY', keyPath });

async function open(): Promise<TlsFiles> {
  const opened = await read();
  if (!opened.ok) throw new Error(opened.problem);
  toStop.push(opened.value);
  return opened.value;
}

async function problem(): Promise<string> {
  const opened = await read();
  return opened.ok ? 'none' : opened.problem;
}

/** Watched, with all that is reported; looks only when asked to. */
async function watched() {
  const files = await open();
  const taken: string[] = [];
  const problems: string[] = [];
  files.onChange((pair) => taken.push(pair.cert.toString().slice(0, 10)));
  files.watch((sentence) => problems.push(sentence), 3_600_000);
  return { files, taken, problems };
}

describe('a certificate and its key', () => {
  it('are given with their bytes and paths', async () => {
    const { pair } = await open();
    expect(pair).toEqual({ cert: await readFile(certPath), key: await readFile(keyPath), certPath, keyPath });
  });

  it('may be followed by the certificates of the issuers', async () => {
    await writeFile(certPath, `${await text('first.crt')}\n${await text('second.crt')}`);
    expect(await problem()).toBe('none');
  });

  it.each([
    ['certificate is not there', () => rm(certPath), 'HUB_TLS_CERT', "can't be read (ENOENT)"],
    ['key is not there', () => rm(keyPath), 'HUB_TLS_KEY', "can't be read (ENOENT)"],
    ['certificate is empty', () => writeFile(certPath, ''), 'HUB_TLS_CERT', 'no certificate in PEM form'],
    ['certificate is a key', () => copyFile(keyPath, certPath), 'HUB_TLS_CERT', 'no certificate in PEM form'],
    ['key is a certificate', () => copyFile(certPath, keyPath), 'HUB_TLS_KEY', 'no private key in PEM form'],
    ['key is half written', async () => truncate(keyPath), 'HUB_TLS_KEY', 'no private key in PEM form'],
    ['key is encrypted', () => writeFile(keyPath, encryptedKey()), 'HUB_TLS_KEY', 'without a passphrase'],
    [
      'key is that of another',
      () => put('first', 'second'),
      'HUB_TLS_KEY',
      'not that of the certificate in HUB_TLS_CERT',
    ],
    ['issuer is half written', async () => halfIssuer(), 'HUB_TLS_CERT', "TLS can't use it"],
  ])('whose %s are one sentence with the setting, its file, and nothing of the key', async (_, spoil, name, words) => {
    await spoil();
    const sentence = await problem();
    expect(sentence).toMatch(new RegExp(`^${name} is "`));
    expect(sentence).toContain(name === 'HUB_TLS_CERT' ? certPath : keyPath);
    expect(sentence).toContain(words);
    expect(sentence).not.toContain('\n');
    for (const line of (await text('first.key')).split('\n').slice(2, -2)) expect(sentence).not.toContain(line);
  });
});

describe('a renewed pair', () => {
  it('is taken over once, however it got there', async () => {
    const { files, taken, problems } = await watched();
    await files.check();
    expect(taken).toEqual([]);
    await put('second', 'second');
    await files.check();
    await files.check();
    expect(taken).toEqual(['The second']);
    expect(files.pair.key).toEqual(await readFile(fixture('second.key')));
    // As a renamed file, and as a link that is moved.
    await copyFile(fixture('first.crt'), join(folder, 'new'));
    await rename(join(folder, 'new'), certPath);
    await rm(keyPath);
    await symlink(fixture('first.key'), keyPath);
    await files.check();
    expect(taken).toEqual(['The second', 'The first ']);
    expect(problems).toEqual([]);
  });

  it('is found without being asked for (S9)', async () => {
    const files = await open();
    const taken = new Promise<string>((resolve) => files.onChange((pair) => resolve(pair.cert.toString())));
    // A look may find half of the pair, which is a problem until the next.
    files.watch(() => undefined, 5);
    await put('second', 'second');
    expect(await taken).toContain('The second');
  });

  it('is no change if the files are written again with the same content', async () => {
    const { files, taken, problems } = await watched();
    await writeFile(certPath, await readFile(certPath));
    await writeFile(keyPath, await readFile(keyPath));
    await files.check();
    expect([taken, problems]).toEqual([[], []]);
  });

  it('that is invalid is reported once, and the old one stays until a sound one is there (S9)', async () => {
    const { files, taken, problems } = await watched();
    await copyFile(fixture('second.crt'), certPath);
    for (let i = 0; i < 3; i++) await files.check();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(
      /^HUB_TLS_KEY is ".*": its key is not that .*; until then the previous certificate stays/,
    );
    expect(files.pair.cert).toEqual(await readFile(fixture('first.crt')));
    await rm(keyPath);
    for (let i = 0; i < 3; i++) await files.check();
    expect(problems).toHaveLength(2);
    await copyFile(fixture('second.key'), keyPath);
    await files.check();
    expect(taken).toEqual(['The second']);
    await rm(keyPath);
    await files.check();
    expect(problems).toHaveLength(3);
  });

  it('that somebody cannot apply is reported, and offered again at the next look', async () => {
    const { files, taken, problems } = await watched();
    let fails = true;
    files.onChange(() => {
      if (fails) throw new Error('no room');
    });
    await put('second', 'second');
    await files.check();
    expect(problems).toEqual([expect.stringMatching(/^HUB_TLS_CERT is .*\(no room\)/)]);
    expect(files.pair.cert).toEqual(await readFile(fixture('first.crt')));
    fails = false;
    await files.check();
    expect(files.pair.cert).toEqual(await readFile(fixture('second.crt')));
    expect(taken).toEqual(['The second', 'The second']);
  });

  it('is not reported to a listener that was removed, nor to any after the stop', async () => {
    const { files, taken } = await watched();
    const more: string[] = [];
    const forget = files.onChange(() => more.push('reported'));
    forget();
    await put('second', 'second');
    await files.check();
    expect([taken.length, more.length]).toEqual([1, 0]);
    await put('first', 'first');
    const look = files.check();
    files.stop();
    await look;
    expect(taken).toHaveLength(1);
  });
});

const text = (name: string): Promise<string> => readFile(fixture(name), 'utf8');

async function truncate(path: string): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, bytes.length / 2));
}

async function halfIssuer(): Promise<void> {
  const issuer = await text('second.crt');
  await writeFile(certPath, (await text('first.crt')) + issuer.slice(0, 300) + '\n-----END CERTIFICATE-----\n');
}

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString();
}
