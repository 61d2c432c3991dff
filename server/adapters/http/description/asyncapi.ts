/** The WebSocket messages of both directions as AsyncAPI 3, made from the schemas that check them. */
import { closeCodes } from '../../../../shared/reasons.ts';
import { messageSchemas, messagesToClient, messagesToHub, printSchemas } from './named-schemas.ts';
import { about } from './openapi.ts';

/** The hub's view: it receives what clients send. */
export function describeMessages(): object {
  const incoming = namesOf('ToHub', messagesToHub);
  const outgoing = namesOf('ToClient', messagesToClient);
  const refer = (names: readonly string[]) => names.map((name) => ({ $ref: `#/channels/socket/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'presence hub',
      ...about,
      description: `Who is there, live over WebSocket. The first message of a client is hello. Close codes: ${closeCodeList()}.`,
    },
    defaultContentType: 'application/json',
    servers: {
      hub: {
        host: 'localhost:8080',
        protocol: 'ws',
        description: 'Where the hub listens by default. With a certificate the protocol is wss.',
      },
    },
    channels: {
      socket: {
        address: '/ws',
        title: 'The WebSocket',
        description: 'One JSON object in each text message.',
        servers: [{ $ref: '#/servers/hub' }],
        messages: Object.fromEntries(
          [...incoming, ...outgoing].map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' } },
      },
    },
    operations: {
      receive: {
        action: 'receive',
        channel: { $ref: '#/channels/socket' },
        summary: 'What a client sends',
        messages: refer(incoming),
      },
      send: {
        action: 'send',
        channel: { $ref: '#/channels/socket' },
        summary: 'What the hub sends',
        messages: refer(outgoing),
      },
    },
    components: {
      messages: Object.fromEntries([...incoming, ...outgoing].map((name) => [name, describeMessage(name)])),
      // The dialect that AsyncAPI expects unless a message says otherwise.
      schemas: printSchemas(messageSchemas, addressOf, 'draft-7'),
    },
  };
}

function namesOf(prefix: string, messages: object): string[] {
  return Object.keys(messages).map((name) => `${prefix}${name}`);
}

function describeMessage(name: string): object {
  const title = name.replace(/^To(Hub|Client)/, '').replace(/(?<=\w)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return { name, title, contentType: 'application/json', payload: { $ref: addressOf(name) } };
}

function closeCodeList(): string {
  return [...new Set(Object.values(closeCodes).map(({ code }) => code))].join(', ');
}

function addressOf(name: string): string {
  return `#/components/schemas/${name}`;
}
