/**
 * RFC 6455, sections 4 and 9, as cases: requests that open a WebSocket or must not, and what the answer is. If several
 * answers are legal, the case names the hub's (shared/PROTOCOL.md, section 5).
 */
export interface HandshakeCase {
  readonly section: string;
  readonly rule: string;
  readonly request: string;
  readonly status: number;
  /** What uWebSockets.js answers instead, in words of its own. */
  readonly statusOnUws?: number;
  /** Headers that the answer must have, or, if undefined, must not have. By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** The key of the RFC (1.3), and the answer that proves it was understood. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** Lines of a request in their order, so that a name may come twice. */
type Lines = readonly (readonly [name: string, value: string])[];

const sound: Lines = [
  ['Host', 'localhost'],
  ['Upgrade', 'websocket'],
  ['Connection', 'Upgrade'],
  ['Sec-WebSocket-Key', KEY],
  ['Sec-WebSocket-Version', '13'],
];

/** A sound request, with other lines of that name, or none. */
function request(name = '', values: readonly string[] = [], requestLine = 'GET /ws HTTP/1.1'): string {
  const others = sound.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  return text(requestLine, [...others, ...values.map((value) => [name, value] as const)]);
}

function text(requestLine: string, lines: Lines): string {
  return [requestLine, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
}

const OPENED = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': ACCEPT };
const NO_EXTRAS = { 'sec-websocket-protocol': undefined, 'sec-websocket-extensions': undefined };

const opens = (
  section: string,
  rule: string,
  request: string,
  headers: HandshakeCase['headers'] = {},
): HandshakeCase => ({
  section,
  rule,
  request,
  status: 101,
  headers: { ...OPENED, ...NO_EXTRAS, ...headers },
});

const refuses = (section: string, rule: string, request: string, status: number): HandshakeCase => ({
  section,
  rule,
  request,
  status,
  // A refusal by version says which one would do (4.4).
  headers: { 'sec-websocket-accept': undefined, ...(status === 426 && { 'sec-websocket-version': '13' }) },
});

const requestLines: HandshakeCase[] = [
  opens('4.2.2', 'the accept value of the RFC’s own key', request()),
  opens(
    '4.2.1',
    'names and tokens are read in any case',
    request().toLowerCase().replace(KEY.toLowerCase(), KEY).replace('get /ws http', 'GET /ws HTTP'),
  ),
  opens('4.1', 'unknown headers and a query change nothing', request('Cookie', ['a=b'], 'GET /ws?x=y HTTP/1.1')),
  refuses('4.2.1', 'another method is refused', request('', [], 'POST /ws HTTP/1.1'), 400),
  refuses('4.2.1', 'HEAD is refused', request('', [], 'HEAD /ws HTTP/1.1'), 400),
  refuses('4.2.1', 'a body is refused', request('Content-Length', ['1']) + 'x', 400),
  {
    ...refuses('4.2.1', 'an upgrade in HTTP/1.0 is ignored', request('', [], 'GET /ws HTTP/1.0'), 426),
    statusOnUws: 505,
  },
  refuses('4.2.2', 'an unknown path is refused', request('', [], 'GET /nowhere HTTP/1.1'), 404),
  refuses('4.2.1', 'a request without Host is refused', request('Host'), 400),
  refuses('4.2.1', 'two Hosts are refused', request('Host', ['localhost', 'elsewhere']), 400),
  opens('4.2.2', 'the hub’s own Origin is let in', request('Origin', ['http://localhost'])),
  refuses('4.2.2', 'an Origin that may not connect is refused', request('Origin', ['https://elsewhere.example']), 403),
];

const upgrades: HandshakeCase[] = [
  ...['WebSocket', 'WEBSOCKET', ' websocket ', 'h2c, websocket', 'websocket, h2c', 'h2c,WebSocket', ', websocket,'].map(
    (value) => opens('4.2.1', `Upgrade “${value}” is let in`, request('Upgrade', [value])),
  ),
  opens('4.2.1', 'Upgrade in two lines is let in', request('Upgrade', ['h2c', 'websocket'])),
  ...[
    'Upgrade',
    'upgrade',
    'UPGRADE',
    'keep-alive, Upgrade',
    'Upgrade , keep-alive',
    'keep-alive,Upgrade',
    ', Upgrade,',
  ].map((value) => opens('4.2.1', `Connection “${value}” is let in`, request('Connection', [value]))),
  opens('4.2.1', 'Connection in two lines is let in', request('Connection', ['keep-alive', 'Upgrade'])),
  refuses('4.2.1', 'a request without Upgrade opens nothing', request('Upgrade'), 426),
  ...['h2c', 'websockets', 'web socket', 'not-websocket', 'websocket/13'].map((value) =>
    refuses('4.2.1', `Upgrade “${value}” does not ask for a WebSocket`, request('Upgrade', [value]), 426),
  ),
  refuses('4.2.1', 'a request without Connection opens nothing', request('Connection'), 426),
  ...['keep-alive', 'upgrades', 'upgrade-insecure', 'keep-alive upgrade'].map((value) =>
    refuses('4.2.1', `Connection “${value}” does not ask for an upgrade`, request('Connection', [value]), 426),
  ),
];

const keys: HandshakeCase[] = [
  opens('4.2.1', 'a key of 16 zero bytes', request('Sec-WebSocket-Key', ['AAAAAAAAAAAAAAAAAAAAAA==']), {
    'sec-websocket-accept': 'ICX+Yqv66kxgM0FcWaLWlFLwTAI=',
  }),
  opens('4.2.1', 'a key with spaces around', request('Sec-WebSocket-Key', [` \t${KEY} `])),
  refuses('4.2.1', 'a handshake without a key is refused', request('Sec-WebSocket-Key'), 400),
  ...[
    '',
    'AAAAAAAAAAAAAAAAAAAA',
    'AAAAAAAAAAAAAAAAAAAAAAA=',
    'AAAAAAAAAAAAAAAAAAAAAAAA',
    '!!!!!!!!!!!!!!!!!!!!!!==',
    'AAAAAAAAAAAAAAAAAAAAAA',
    `${KEY}${KEY}`,
  ].map((key) =>
    refuses(
      '4.2.1',
      `the key “${key}” is refused, because it does not encode 16 bytes`,
      request('Sec-WebSocket-Key', [key]),
      400,
    ),
  ),
  refuses('11.3.1', 'two keys are refused', request('Sec-WebSocket-Key', [KEY, KEY]), 400),
];

const versions: HandshakeCase[] = [
  refuses('4.2.1', 'a handshake without a version is refused', request('Sec-WebSocket-Version'), 400),
  ...['0', '7', '8', '12', '14', '255', '013', '13.0', 'abc', '13, 8'].map((version) =>
    refuses(
      '4.2.2',
      `version “${version}” is refused with the one that works`,
      request('Sec-WebSocket-Version', [version]),
      426,
    ),
  ),
  refuses('11.3.5', 'two versions are refused', request('Sec-WebSocket-Version', ['13', '8']), 426),
];

const subprotocols: HandshakeCase[] = [
  opens('4.2.2', 'one subprotocol is taken', request('Sec-WebSocket-Protocol', ['presence']), {
    'sec-websocket-protocol': 'presence',
  }),
  ...['one, two', 'one,two', ' one , two , three'].map((offer) =>
    opens(
      '4.2.2',
      `of the subprotocols “${offer}” one is taken, the first`,
      request('Sec-WebSocket-Protocol', [offer]),
      {
        'sec-websocket-protocol': 'one',
      },
    ),
  ),
  opens('11.3.4', 'subprotocols in two lines are one list', request('Sec-WebSocket-Protocol', ['one', 'two']), {
    'sec-websocket-protocol': 'one',
  }),
  opens('4.2.2', 'a subprotocol keeps its case', request('Sec-WebSocket-Protocol', ['One']), {
    'sec-websocket-protocol': 'One',
  }),
  ...['', ',', 'one,', 'one two', 'one, t wo', '"one"', 'one;x', 'one, one', 'sön'].map((offer) =>
    refuses(
      '4.1',
      `subprotocols “${offer}” are refused, because they are not distinct tokens`,
      request('Sec-WebSocket-Protocol', [offer]),
      400,
    ),
  ),
];

/** RFC 7692 lets a server decline every offer. It declines by not naming it. */
const extensions: HandshakeCase[] = [
  ...[
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; client_max_window_bits=15; server_max_window_bits=8',
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover, permessage-deflate',
    'permessage-deflate; client_max_window_bits="10"',
    'permessage-deflate; unheard_of=1',
    'permessage-deflate; client_max_window_bits=99',
    'x-webkit-deflate-frame, permessage-bzip2',
    ', permessage-deflate,',
  ].map((offer) => opens('9.1', `the offer “${offer}” is declined`, request('Sec-WebSocket-Extensions', [offer]))),
  opens('9.1', 'offers in two lines are declined', request('Sec-WebSocket-Extensions', ['permessage-deflate', 'mux'])),
  ...[
    '',
    ',',
    'permessage-deflate; =1',
    'a b',
    'a;',
    'a; b=',
    'a; b="c d"',
    'a; b="c',
    'a; b=c=d',
    '"a"',
    'a; b="c, d"',
  ].map((offer) =>
    refuses('9.1', `the malformed offer “${offer}” is refused`, request('Sec-WebSocket-Extensions', [offer]), 400),
  ),
];

export const handshakeCases: readonly HandshakeCase[] = [
  ...requestLines,
  ...upgrades,
  ...keys,
  ...versions,
  ...subprotocols,
  ...extensions,
];

export function soundHandshake(extensions?: string): string {
  return extensions === undefined ? request() : request('Sec-WebSocket-Extensions', [extensions]);
}
