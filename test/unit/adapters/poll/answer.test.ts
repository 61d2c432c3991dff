import { describe, expect, test } from 'vitest';
import { readAnswer, type Said } from '../../../../server/adapters/poll/answer.ts';
import type { SessionStatus } from '../../../../shared/status.ts';

const codeOf = (status: SessionStatus): number => ({ online: 1, away: 2, busy: 3, invisible: -1 })[status];
const statusOf = (code: number): SessionStatus => (code === 12 ? 'away' : 'online');
const online: Said = { kind: 'present', status: 'online', code: 1, text: undefined };

/** What the answer says, and what was handed to the reader of XML. */
function read(body: string | Buffer | undefined, xmlState?: number): { said: Said; xml: string | undefined } {
  let xml: string | undefined;
  const readXmlState = (bytes: Buffer): number | undefined => {
    xml = bytes.toString();
    return xmlState;
  };
  const said = readAnswer(typeof body === 'string' ? Buffer.from(body) : body, {
    codes: { codeOf, statusOf },
    readXmlState,
  });
  return { said, xml };
}

describe('an answer without a status', () => {
  test.each([undefined, '', '   \n', 'OK', '[]', '"away"', '{}', '{"status":', '{"status":7}', '{"status":"asleep"}'])(
    'means online: %j',
    (body) => {
      expect(read(body)).toEqual({ said: online, xml: undefined });
    },
  );
});

describe('a JSON answer', () => {
  test.each(['online', 'away', 'busy', 'invisible'] as const)('sets the status %s and its code (P3)', (status) => {
    expect(read(JSON.stringify({ status })).said).toEqual({
      kind: 'present',
      status,
      code: codeOf(status),
      text: undefined,
    });
  });

  test('may come after white space and a byte order mark', () => {
    expect(read('\r\n\t {"status":"away"}').said).toMatchObject({ status: 'away' });
    expect(read('\uFEFF {"status":"away"}').said).toMatchObject({ status: 'away' });
  });

  test('sets the text, unless that is not of its form (I3)', () => {
    expect(read('{"status":"away","text":"lunch"}').said).toMatchObject({ status: 'away', text: 'lunch' });
    expect(read('{"text":"here"}').said).toEqual({ ...online, text: 'here' });
    expect(read(JSON.stringify({ text: 'x'.repeat(140) })).said).toMatchObject({ text: 'x'.repeat(140) });
    expect(read(JSON.stringify({ text: 'x'.repeat(141) })).said).toEqual(online);
    expect(read('{"text":"a\\ud800b"}').said).toMatchObject({ text: 'a\ufffdb' });
    expect(read('{"text":7}').said).toEqual(online);
  });

  test('with the status offline says that the user left', () => {
    expect(read('{"status":"offline","text":"bye"}').said).toEqual({ kind: 'left' });
  });
});

describe('an XML answer', () => {
  const frame = '<protocol><user_id>42</user_id></protocol>';

  test.each([
    [12, 'away'],
    [99, 'online'],
  ] as const)('of the state %d is shown with that very code', (state, status) => {
    expect(read(` \n${frame}`, state)).toEqual({
      said: { kind: 'present', status, code: state, text: undefined },
      xml: ` \n${frame}`,
    });
  });

  test('may come after NUL and white space, as a frame may', () => {
    expect(read(`\0\r\n\0${frame}\0`, 12).said).toMatchObject({ status: 'away' });
  });

  test.each([0, -1])('of the state %d says that the user left (P3)', (state) => {
    expect(read(frame, state).said).toEqual({ kind: 'left' });
  });

  test('that is no heartbeat means online', () => {
    expect(read('<html></html>').said).toEqual(online);
  });

  test('in UTF-16 is known by its byte order mark', () => {
    const utf16 = Buffer.from(`\uFEFF${frame}`, 'utf16le');
    expect(read(utf16, 12).said).toMatchObject({ status: 'away' });
    expect(read(Buffer.from(utf16).swap16(), 12).said).toMatchObject({ status: 'away' });
  });
});
