import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseClientMessage } from '../../shared/messages/client-messages.ts';
import { entry } from '../../shared/messages/entry.ts';
import { hubMessage } from '../../shared/messages/hub-messages.ts';
import { parseTargets } from '../../server/adapters/poll/targets.ts';
import { printedIn, printInto, sections } from './print-reference.ts';

const file = new URL('../../shared/PROTOCOL.md', import.meta.url);
const UPDATE = process.env['UPDATE_REFERENCE'] === '1';

let reference = '';
beforeAll(() => {
  reference = readFileSync(file, 'utf8');
  if (!UPDATE) return;
  reference = printInto(reference);
  writeFileSync(file, reference);
});

describe('the reference, shared/PROTOCOL.md', () => {
  it.each(Object.keys(sections))('has the table %s as the code prints it (UPDATE_REFERENCE=1 writes it)', (name) => {
    expect(printedIn(reference).get(name)).toBe(sections[name]?.());
  });

  it('asks for no table that the code does not print', () => {
    const asked = [...reference.matchAll(/<!-- printed: (.*?) -->/g)].map(([, name]) => name);
    expect(asked.sort()).toEqual(Object.keys(sections).sort());
  });

  it('says that a printed table without a name is a mistake', () => {
    expect(() => printInto('<!-- printed: no such table -->\n<!-- end -->')).toThrow('no such table');
  });
});

describe('the examples in the reference', () => {
  it('are messages that the hub takes, and there is one of each type', () => {
    const messages = jsonLinesUnder('### Client to hub').map((line) => parseClientMessage(line));
    expect(messages.filter(({ ok }) => !ok)).toEqual([]);
    const types = new Set(messages.map((read) => (read.ok ? read.message.type : undefined)));
    expect(types).toEqual(new Set(['hello', 'heartbeat', 'watch', 'unwatch', 'token', 'tail', 'untail', 'bye']));
  });

  it('are messages that the hub sends, whole and without a field too many', () => {
    const lines = jsonLinesUnder('### Hub to client');
    expect(lines).toHaveLength(15);
    for (const line of lines) expect(hubMessage.parse(JSON.parse(line))).toEqual(JSON.parse(line));
  });

  it('are an entry', () => {
    const [line = ''] = jsonLinesUnder('An entry:');
    expect(entry.parse(JSON.parse(line))).toEqual(JSON.parse(line));
  });

  it('are targets that are polled', () => {
    expect(parseTargets(jsonLinesUnder('## 6.').join('\n'))).toMatchObject({ ok: true, value: [{}, {}] });
  });
});

/** The lines of the first block of JSON after a title. */
function jsonLinesUnder(title: string): readonly string[] {
  const [, block = ''] = /```json\n([^]*?)```/.exec(reference.slice(reference.indexOf(title))) ?? [];
  return block.trim().split('\n');
}
