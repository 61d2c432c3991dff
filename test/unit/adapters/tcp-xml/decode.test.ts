import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import { decodeFrame } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import type { Decoded } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import { defaultFieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';
import { malformedFrames } from '../../../support/malformed-frames.ts';

const decode = (text: string): Decoded => decodeFrame(text, defaultFieldNames);
/** A frame with this inside, and a sound user in front of it. */
const withUser = (inside: string): Decoded => decode(`<protocol><user_id>42</user_id>${inside}</protocol>`);

/** What a frame says that has a user and nothing else. */
const said = (fields: Partial<Extract<Decoded, { ok: true }>>): Decoded => ({
  ok: true,
  user: '42',
  state: 1,
  device: undefined,
  ip: undefined,
  port: undefined,
  token: undefined,
  ...fields,
});
const bad = (reason: Extract<Decoded, { ok: false }>['reason']): Decoded => ({ ok: false, reason });

describe('fields', () => {
  it('are read from elements', () => {
    expect(
      decode(
        '<protocol><user_id>42</user_id><user_state>3</user_state><user_ip>10.0.0.7</user_ip>' +
          '<user_port>5222</user_port><device>phone</device><token>a.b.c</token></protocol>',
      ),
    ).toEqual(said({ state: 3, ip: '10.0.0.7', port: 5222, device: 'phone', token: 'a.b.c' }));
  });

  it('are read from attributes, of the root too', () => {
    expect(decode('<protocol user_id="42" user_state=\'2\'><x device = "phone" user_ip="::1"/></protocol>')).toEqual(
      said({ state: 2, device: 'phone', ip: '::1' }),
    );
  });

  it('are read at any depth, a thousand too', () => {
    const depth = 1000;
    expect(decode(`<protocol>${'<a>'.repeat(depth)}<user_id>42</user_id>${'</a>'.repeat(depth)}</protocol>`)).toEqual(
      said({}),
    );
  });

  it('the shallowest wins, then the first (T4)', () => {
    expect(
      decode('<protocol><a><user_id>deep</user_id></a><user_id>42</user_id><user_id>7</user_id></protocol>'),
    ).toEqual(said({}));
    expect(decode('<protocol><a><user_id>42</user_id></a><b><user_id>7</user_id></b></protocol>')).toEqual(said({}));
  });

  it('an attribute is as deep as a child of its element, and before it', () => {
    expect(decode('<protocol user_id="42"><user_id>7</user_id></protocol>')).toEqual(said({}));
    expect(decode('<protocol><user_id>42</user_id><a user_id="7"/></protocol>')).toEqual(said({}));
    expect(decode('<protocol><a><user_id>42</user_id></a><b user_id="7"/></protocol>')).toEqual(said({}));
    expect(decode('<protocol><a><b user_id="7"/></a><c user_id="42"/></protocol>')).toEqual(said({}));
  });

  it('are trimmed, CDATA and comments within them read as XML says', () => {
    expect(decode('<protocol><user_id>\r\n\t 4<!-- <x> & -->2 \n</user_id></protocol>')).toEqual(said({}));
    expect(decode('<protocol><user_id><![CDATA[4]]>2<?pi it\'s?></user_id><?x "?></protocol>')).toEqual(said({}));
    expect(withUser('<device> <![CDATA[ a&amp;<b> ]]> </device>')).toEqual(said({ device: 'a&amp;<b>' }));
  });

  it('have their references resolved: the five names and numbers', () => {
    expect(decode('<protocol><user_id>&#52;&#x32;</user_id></protocol>')).toEqual(said({}));
    expect(decode('<protocol user_id="&#x34;2"/>')).toEqual(said({}));
    expect(withUser('<device>&lt;&amp;&gt;&quot;&apos;&#x4F60;&#128512;&amp;lt;</device>')).toEqual(
      said({ device: `<&>"'你😀&lt;` }),
    );
  });

  it("are an element's own text: a container of that name has none", () => {
    expect(decode('<protocol><device><user_id>42</user_id></device></protocol>')).toEqual(said({}));
  });

  it('a line end or tab in an attribute is a space, as XML says', () => {
    expect(withUser('<a device="a\r\nb\tc"/>')).toEqual(said({ device: 'a b c' }));
  });

  it('are found under the configured names, and no longer under the usual ones', () => {
    const names = { ...defaultFieldNames, user_id: 'uid', device: '设备' };
    expect(decodeFrame('<protocol><uid>42</uid><设备>phone</设备><device>x</device></protocol>', names)).toEqual(
      said({ device: 'phone' }),
    );
    expect(decodeFrame('<protocol><user_id>42</user_id></protocol>', names)).toEqual(bad('user_id'));
  });

  it("other content is ignored, names from JavaScript's own objects too", () => {
    expect(
      withUser('<__proto__ a="1"/><constructor>x</constructor><prototype/><toString constructor="" __proto__="1"/>'),
    ).toEqual(said({}));
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
    expect(withUser('<x:y xmlns:x="urn:z"><密码>秘密</密码></x:y>')).toEqual(said({}));
  });

  it('an undeclared GBK name beside them does no harm', () => {
    const bytes = Buffer.concat([
      Buffer.from('<protocol><name>'),
      Buffer.from([0xd5, 0xc5, 0xc8, 0xfd]),
      Buffer.from('</name><'),
      Buffer.from([0xd0, 0xd5, 0xc3, 0xfb]),
      Buffer.from('/><user_id>42</user_id></protocol>'),
    ]);
    const text = decodeText(bytes, 'bytes', 'utf-8');
    expect(text).toContain('\ufffd');
    expect(decode(text)).toEqual(said({}));
  });
});

describe('user_id', () => {
  it.each([
    '',
    '<user_id/>',
    '<user_id> </user_id>',
    '<user_id>a b</user_id>',
    '<user_id>..</user_id>',
    '<user_id>\ufffd</user_id>',
  ])('missing or not of its form is a bad frame: %j', (inside) => {
    expect(decode(`<protocol>${inside}</protocol>`)).toEqual(bad('user_id'));
  });

  it('is text: 042 is not 42', () => {
    expect(decode('<protocol><user_id>042</user_id></protocol>')).toEqual(said({ user: '042' }));
  });

  it('may have 128 characters and not 129', () => {
    expect(decode(`<protocol user_id="${'a'.repeat(128)}"/>`).ok).toBe(true);
    expect(decode(`<protocol user_id="${'a'.repeat(129)}"/>`)).toEqual(bad('user_id'));
  });

  it('legacy bug 15: a bad frame yields a reason and no value to store', () => {
    for (const text of ['<protocol></protocol>', '<protocol><user_id>42</protocol>', '</protocol>']) {
      expect(Object.keys(decode(text))).toEqual(['ok', 'reason']);
    }
  });
});

describe('user_state', () => {
  it.each([
    ['1', 1],
    ['+1', 1],
    ['007', 7],
    ['0', 0],
    ['-0', 0],
    ['-1', -1],
    [' 2\n', 2],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%j is an integer', (text, state) => {
    expect(withUser(`<user_state>${text}</user_state>`)).toEqual(said({ state }));
  });

  it('is 1 if it is absent (T3)', () => {
    expect(withUser('')).toEqual(said({ state: 1 }));
  });

  it.each(['', ' ', '-2', '-9007199254740993', '9007199254740992', '1.0', '1e3', '0x1', 'online', '--1', '１', '1 1'])(
    'legacy bug 16: %j is a bad frame, and nothing is thrown',
    (text) => {
      expect(withUser(`<user_state>${text}</user_state>`)).toEqual(bad('user_state'));
    },
  );
});

describe('the optional fields', () => {
  it.each([
    'fe80::1%eth0',
    `fe80::1%${'A'.repeat(400)}`,
    `::${'0'.repeat(44)}1`,
    '',
    '10.0.0',
    '10.0.0.256',
    'localhost',
    '10.0.0.7:80',
    '010.0.0.1',
  ])('a bad user_ip counts as absent: %j (T3)', (ip) => {
    expect(withUser(`<user_ip>${ip}</user_ip>`)).toEqual(said({}));
  });

  it.each(['', '0', '65536', '-1', '1.5', 'http', '99999999999'])(
    'legacy bug 16: a bad user_port counts as absent: %j',
    (port) => {
      expect(withUser(`<user_port>${port}</user_port>`)).toEqual(said({}));
    },
  );

  it('both ends of the ports are ports', () => {
    expect(withUser('<user_port>1</user_port>')).toEqual(said({ port: 1 }));
    expect(withUser('<user_port>65535</user_port>')).toEqual(said({ port: 65_535 }));
  });

  it('a device has up to 64 characters; an empty one counts as absent', () => {
    expect(withUser(`<device>${'d'.repeat(64)}</device>`)).toEqual(said({ device: 'd'.repeat(64) }));
    expect(withUser('<device> </device>')).toEqual(said({}));
  });

  it.each(['d'.repeat(65), 'a&#10;b', 'a\u0085b', 'a\ufffdb'])(
    'a device not of its form is a bad frame: %j',
    (device) => {
      expect(withUser(`<device>${device}</device>`)).toEqual(bad('device'));
    },
  );

  it('an empty token counts as absent', () => {
    expect(withUser('<token/>')).toEqual(said({}));
  });
});

describe('one well-formed element', () => {
  it.each([
    '<?xml version="1.0"?><protocol user_id="42"/>',
    '<?xml version="1.0" encoding="GBK" standalone=\'yes\' ?>\r\n <protocol user_id="42"></protocol >\n',
    '<protocol user_id="42"><!-- a <b> & ]]> - c --><?pi > ?><![CDATA[<!DOCTYPE x> & ]] ></x>]]></protocol>',
    '<protocol user_id="42" a="> ]]> \'"><b\n/>"\'></protocol>',
  ])('is taken: %s', (text) => {
    expect(decode(text)).toEqual(said({}));
  });

  it.each(malformedFrames)('is not: %s', (_, text) => {
    expect(decode(text)).toEqual(bad('malformed'));
  });

  it.each([
    ['a DOCTYPE', '<!DOCTYPE protocol><protocol user_id="42"/>'],
    ['a DOCTYPE behind a declaration', '<?xml version="1.0"?>\n<!DOCTYPE protocol SYSTEM "x"><protocol user_id="42"/>'],
    ['a DOCTYPE inside the root', '<protocol user_id="42"><!DOCTYPE x></protocol>'],
    ['an entity definition inside the root', '<protocol user_id="42"><!ENTITY a "b"></protocol>'],
    [
      'an external entity',
      '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><protocol><user_id>&x;</user_id></protocol>',
    ],
    [
      'an entity bomb',
      '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><protocol><user_id>&b;</user_id></protocol>',
    ],
    ['a DOCTYPE in broken XML', '<protocol><!-- x --><a><!doctype p></protocol>'],
  ])('legacy bug 18: %s is a bad frame of its own reason', (_, text) => {
    expect(decode(text)).toEqual(bad('doctype'));
  });

  it('legacy bug 18: the words alone, in a comment or CDATA, are none', () => {
    expect(withUser('<!-- <!DOCTYPE x> --><![CDATA[<!ENTITY]]>')).toEqual(said({}));
    expect(withUser('<!-- <!DOCTYPE x> --><a>')).toEqual(bad('malformed'));
  });

  it('legacy bug 11: a frame over several lines is decoded', () => {
    expect(decode('<protocol>\r\n  <user_id>\r\n    42\r\n  </user_id>\r\n</protocol>')).toEqual(said({}));
  });
});

describe('any input', () => {
  const fragment = fc.constantFrom(
    ...'<protocol> </protocol> <user_id> </user_id> 42 <a> </a> <b/> <!-- --> <![CDATA[ ]]> <?xml ?> <!DOCTYPE &amp; &x; &#0; " \' = > < / a= \0 \ufffd user_state="'.split(
      ' ',
    ),
    ' ',
  );

  it('never throws, and answers with a sound user or a reason', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join('')),
      fc
        .array(fragment, { maxLength: 20 })
        .map((parts) => `<protocol><user_id>42</user_id>${parts.join('')}</protocol>`),
    );
    fc.assert(
      fc.property(text, (input) => {
        const decoded = decode(input);
        if (decoded.ok) expect(decoded.user).toMatch(/^[A-Za-z0-9._@:-]{1,128}$/);
        else expect(decoded.reason).toMatch(/^(malformed|doctype|user_id|user_state|device)$/);
      }),
    );
  });

  it('never throws on bytes in any encoding', () => {
    const seen = fc.constantFrom('bytes', 'utf-8', 'utf-16le', 'utf-16be' as const);
    const otherwise = fc.constantFrom('utf-8', 'gbk', 'gb18030', 'big5', 'iso-8859-1', 'utf-16be' as const);
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.uint8Array({ maxLength: 20 }).map((inside) => Buffer.concat([Buffer.from('<protocol><a>'), inside])),
    );
    fc.assert(
      fc.property(bytes, seen, otherwise, (input, width, encoding) => {
        expect(decode(decodeText(Buffer.from(input), width, encoding))).toHaveProperty('ok');
      }),
    );
  });

  interface Element {
    readonly name: string;
    readonly user: string | undefined;
    readonly text: string;
    readonly children: readonly Element[];
  }
  const elements = fc.memo((depth: number): fc.Arbitrary<Element[]> =>
    fc.array(
      fc.record({
        name: fc.constantFrom('user_id', 'a', '好', 'constructor'),
        user: fc.option(fc.constantFrom('u1', 'u2', 'u3'), { nil: undefined }),
        text: fc.constantFrom('t1', 't2', 't3', 't4'),
        children: depth > 1 ? elements(depth - 1) : fc.constant([]),
      }),
      { maxLength: 3 },
    ),
  );

  const write = ({ name, user, text, children }: Element): string =>
    `<${name}${user === undefined ? '' : ` user_id="${user}"`}>${text}<!-- - -->${children.map(write).join('\n')}</${name}>`;

  /** Every user in the tree with its depth, in document order. */
  const usersOf = ({ name, user, text, children }: Element, depth: number): [number, string][] => [
    ...(name === 'user_id' ? [[depth, text] as [number, string]] : []),
    ...(user === undefined ? [] : [[depth + 1, user] as [number, string]]),
    ...children.flatMap((child) => usersOf(child, depth + 1)),
  ];

  it('of any shape: the user is the shallowest, then the first', () => {
    fc.assert(
      fc.property(elements(4), (children) => {
        const users = usersOf({ name: 'protocol', user: undefined, text: '', children }, 0);
        const shallowest = Math.min(...users.map(([depth]) => depth));
        const user = users.find(([depth]) => depth === shallowest)?.[1];
        const decoded = decode(`<protocol>${children.map(write).join('')}</protocol>`);
        expect(decoded).toEqual(user === undefined ? bad('user_id') : said({ user }));
      }),
    );
  });
});
