import { describe, expect, it } from 'vitest';
import { answerBytes, encodeAck, encodeError, encodeProbe } from '../../../../server/adapters/tcp-xml/frames/encode.ts';
import { protocolElement, resolveReferences } from '../../../../server/adapters/tcp-xml/frames/well-formed.ts';
import { badFrameReasons } from '../../../../shared/reasons.ts';

describe('answers', () => {
  it('an acknowledgement carries user and state', () => {
    expect(encodeAck('42', 1)).toBe('<protocol><ack user_id="42" state="1"/></protocol>');
    expect(encodeAck('a.b_c@d:e-f', -1)).toBe('<protocol><ack user_id="a.b_c@d:e-f" state="-1"/></protocol>');
  });

  it('an error carries code and message', () => {
    expect(encodeError('user_id', 'it is missing')).toBe(
      '<protocol><error code="user_id">it is missing</error></protocol>',
    );
  });

  it('a probe is an empty word', () => {
    expect(encodeProbe()).toBe('<protocol><probe/></protocol>');
  });

  it('are well-formed and ASCII, whatever they carry, and read back as it was', () => {
    const message = `</error>&"'<b>\n你好 𠀀 ’`;
    const xml = encodeError('"/><x a="', message);
    expect(xml).toMatch(/^[ -~]+$/);
    expect(protocolElement(xml)).toBe(xml);
    expect(resolveReferences(/<error [^>]*>(.*)<\/error>/.exec(xml)?.[1] ?? '')).toBe(message.replace('\n', '\ufffd'));
    expect(protocolElement(encodeError('x', '\0\u001f\ufffe\ud800'))).toBeDefined();
    for (const [code, meaning] of Object.entries(badFrameReasons)) {
      expect(protocolElement(encodeError(code, meaning))).toBeDefined();
    }
  });

  it('go out as lines, in the width and order that the connection writes (T11)', () => {
    const xml = encodeProbe();
    const line = `${xml}\n`;
    expect(answerBytes(xml, 'bytes')).toEqual(Buffer.from(line));
    expect(answerBytes(xml, 'utf-8')).toEqual(Buffer.from(line));
    expect(new TextDecoder('utf-16le').decode(answerBytes(xml, 'utf-16le'))).toBe(line);
    expect(new TextDecoder('utf-16be').decode(answerBytes(xml, 'utf-16be'))).toBe(line);
  });
});
