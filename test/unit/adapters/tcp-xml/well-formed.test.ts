/**
 * Our own check of XML beside fast-xml-parser: why it is needed, and that it accepts nothing that fast-xml-parser rejects.
 * fast-xml-parser has a parser, which accepts nearly everything, and a validator, which is stricter.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import { Framer } from '../../../../server/adapters/tcp-xml/frames/framer.ts';
import { protocolElement } from '../../../../server/adapters/tcp-xml/frames/well-formed.ts';
import { Random } from '../../../bench/lib/random.ts';
import { malformedFrames } from '../../../support/malformed-frames.ts';

const parser = new XMLParser({ preserveOrder: true, ignoreAttributes: false, processEntities: false });

function parserAccepts(text: string): boolean {
  try {
    parser.parse(text);
    return true;
  } catch {
    return false;
  }
}

// eslint-disable-next-line @typescript-eslint/no-deprecated -- the only other check of XML at hand
const validatorAccepts = (text: string): boolean => XMLValidator.validate(text) === true;

const folder = new URL('../../../golden/frames/', import.meta.url);
const goldenTexts = readdirSync(folder)
  .filter((name) => name.endsWith('.frame'))
  .flatMap((name) => {
    const texts: string[] = [];
    new Framer('utf-8').push(readFileSync(new URL(name, folder)), (frame, encoding) =>
      texts.push(decodeText(frame, encoding, 'utf-8')),
    );
    return texts.filter(({ length }) => length < 2000);
  });

describe('a malformed frame', () => {
  it.each(malformedFrames)('is rejected: %s', (_, text) => {
    expect(protocolElement(text)).toBeUndefined();
  });

  it('is accepted by the parser alone, but for three', () => {
    const rejected = malformedFrames.filter(([, text]) => !parserAccepts(text)).map(([what]) => what);
    expect(rejected).toEqual(['an unclosed comment', 'unclosed CDATA', 'an attribute with mixed quotes']);
  });

  // If an update of fast-xml-parser shortens this list, a part of our check can go.
  it('is accepted by the validator, too, in half of the cases', () => {
    const accepted = malformedFrames.filter(([, text]) => validatorAccepts(text)).map(([what]) => what);
    expect(accepted).toMatchInlineSnapshot(`
      [
        "another root",
        "a root in another case",
        "a second root",
        "a comment behind the root",
        "a comment before the root",
        "an instruction before the root",
        "CDATA before the root",
        "an empty declaration",
        "a declaration inside",
        "a declaration inside in capitals",
        "an instruction without a name",
        "an undefined entity",
        "an HTML entity",
        "an undefined entity in an attribute",
        "a reference to NUL",
        "a reference to a surrogate",
        "a reference beyond Unicode",
        "a reference of 5000 digits",
        "\`]]>\` in text",
        "\`--\` in a comment",
        "a comment that ends in \`--->\`",
        "\`<\` in an attribute",
        "NUL",
        "a control character",
        "a non-character",
        "conditional sections",
      ]
    `);
  });
});

describe('a frame that our check accepts', () => {
  const tokens = '< > " \' & &amp; &x; -- <!-- --> <![CDATA[ ]]> <? ?> = / </protocol> <a> </a> <b/> c="d" \0 \u4f60'
    .split(' ')
    .concat(' ', '\n');

  function mutate(random: Random, text: string): string {
    const at = random.below(text.length + 1);
    const kind = random.below(3);
    if (kind === 0) return text.slice(0, at) + random.pick(tokens) + text.slice(at);
    if (kind === 1) return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    return text.slice(0, at) + random.pick(tokens) + text.slice(at + 1 + random.below(4));
  }

  it('is accepted by parser and validator: 50,000 mutations of the golden frames', () => {
    const random = new Random(20261129);
    let accepted = 0;
    let rejected = 0;
    for (let i = 0; i < 50_000; i++) {
      let text = random.pick(goldenTexts);
      for (let steps = random.below(2); steps >= 0; steps--) text = mutate(random, text);
      const element = protocolElement(text);
      if (element === undefined) {
        rejected++;
        continue;
      }
      accepted++;
      expect([text, parserAccepts(element), validatorAccepts(element)]).toEqual([text, true, true]);
    }
    expect(accepted).toBeGreaterThan(1_500);
    expect(rejected).toBeGreaterThan(5_000);
  });
});
