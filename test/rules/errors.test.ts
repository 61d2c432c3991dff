/** shared/ERRORS.md explains every code, and its examples are what the hub sends. */
import { expect, test } from 'vitest';
import { PresenceError, type PresenceErrorCode } from '../../client/sdk/error.ts';
import { encodeError } from '../../server/adapters/tcp-xml/frames/encode.ts';
import { problem } from '../../server/adapters/http/reply.ts';
import {
  badFrameReasons,
  closeCodes,
  ERROR_PAGES,
  errorCodes,
  problemCodes,
  type BadFrameReason,
  type ProblemCode,
} from '../../shared/reasons.ts';
import { parseClientMessage } from '../../shared/messages/client-messages.ts';
import { hubMessage } from '../../shared/messages/hub-messages.ts';
import { readDocument, snippetsOf } from '../support/snippets.ts';

const ofTheSdk = ['refused', 'closed'] satisfies PresenceErrorCode[];
const codes = new Set([
  ...Object.keys(problemCodes),
  ...Object.keys(errorCodes),
  ...Object.keys(badFrameReasons),
  ...Object.values(closeCodes).map(({ code }) => String(code)),
  ...ofTheSdk,
]);
const sections = new Map(
  readDocument('shared/ERRORS.md')
    .split('\n## ')
    .slice(1)
    .map((section) => [section.split('\n', 1)[0]!, section]),
);
const examples = snippetsOf('shared/ERRORS.md');

test('every code has a section, and no other', () => {
  expect([...sections.keys()].sort()).toEqual([...codes].sort());
});

test.each([...codes])('%s is explained with a remedy and one example (H45)', (code) => {
  expect(sections.get(code)).toContain('**What to do:**');
  const [example, ...others] = examples.filter(({ heading }) => heading === code);
  expect(others).toEqual([]);
  if (example?.language === 'json') expectSent(code, JSON.parse(example.text) as Record<string, unknown>);
  else if (example?.language === 'xml') expect(example.text.trim()).toBe(xmlOf(code as BadFrameReason));
  else expect(example?.language).toBe('js');
});

function expectSent(code: string, example: Readonly<Record<string, unknown>>): void {
  if (String(example['type']).startsWith(ERROR_PAGES)) {
    expect(JSON.parse(problem(code as ProblemCode, String(example['detail'])).body as string)).toEqual(example);
  } else if (!parseClientMessage(JSON.stringify(example)).ok) {
    const message = hubMessage.parse(example);
    expect(message).toEqual(example);
    if (message.type === 'error' && !/^\d+$/.test(code)) expect(message.code).toBe(code);
  }
}

function xmlOf(reason: BadFrameReason): string {
  return encodeError(reason, badFrameReasons[reason]);
}

test('an error of the SDK carries the path of its page (H45)', () => {
  expect(new PresenceError('forbidden', 'no').link).toBe(`${ERROR_PAGES}forbidden`);
});
