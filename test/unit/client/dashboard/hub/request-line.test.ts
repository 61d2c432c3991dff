import { describe, expect, it } from 'vitest';
import {
  asCurl,
  asTailMessages,
  endSessionRequest,
  explainRequest,
} from '../../../../../client/dashboard/hub/request-line.ts';

const ORIGIN = 'https://hub.example:8443';

describe('a request as curl', () => {
  it('is what the button sends', () => {
    expect(asCurl(explainRequest('42'), ORIGIN, false)).toBe(`curl -sS '${ORIGIN}/v1/users/42/explain'`);
    expect(asCurl(endSessionRequest('a@b', 'hub-1.2'), ORIGIN, true)).toBe(
      `curl -sS -X DELETE -H "Authorization: Bearer $HUB_ADMIN_TOKEN" '${ORIGIN}/v1/users/a%40b/sessions/hub-1.2'`,
    );
  });

  it('holds nothing that a shell would take for its own', () => {
    const line = asCurl(explainRequest("'; rm -rf ~ $(x) `y`"), ORIGIN, false);
    const [, quoted, ...rest] = line.split("'");
    expect(quoted).toMatch(/^https:[\w:/.%()~*!-]+$/);
    expect(rest).toEqual(['']);
  });
});

describe('the tail as messages', () => {
  it('holds no token, but where it belongs', () => {
    expect(asTailMessages('', 'http://127.0.0.1:8080', false)).toBe(
      'ws://127.0.0.1:8080/ws\n{"type":"hello","observe":true}\n{"type":"tail"}',
    );
    expect(asTailMessages('42', ORIGIN, true)).toBe(
      'wss://hub.example:8443/ws\n{"type":"hello","observe":true,"token":"…"}\n{"type":"tail","match":"42"}',
    );
  });
});
