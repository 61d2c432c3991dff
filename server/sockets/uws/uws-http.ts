/**
 * HTTP and the upgrade over uWebSockets.js: copies the head of a request before it dies, and decides whether it becomes
 * a WebSocket, is answered, or is refused. Must not know what a path means.
 */
import {
  addressText,
  askedFor,
  asksToClose,
  chosenSubprotocol,
  clientOf,
  HeaderCollector,
  isPassedOn,
  type RequestHead,
} from '../http-rules.ts';
import type { HttpReply, ConnectionLimit, Service } from '../port.ts';
import { Exchange, type UwsPort } from './uws-exchange.ts';
import type { UwsRequest, UwsResponse, UwsUpgradeContext } from './uws-types.ts';

export function answerRequest<Attached>(port: UwsPort, response: UwsResponse<Attached>, request: UwsRequest): void {
  const exchange = new Exchange(port, response);
  const { head, asked, asksForEnd } = readHead(port.service, response, request);
  if (!exchange.begin(head)) return;
  switch (asked) {
    case 400:
    case 426:
    case 431:
      exchange.refuse(head.method, asked);
      break;
    // A valid handshake goes to the upgrade handler.
    case 'websocket':
    case 'http':
      exchange.readBody(head, asksForEnd);
      break;
    default:
      asked satisfies never;
  }
}

/**
 * Answers an upgrade. uWebSockets.js calls it for every GET with a key of 24 characters, whatever else the request
 * says.
 */
export function answerUpgrade<Attached>(
  port: UwsPort,
  response: UwsResponse<Attached>,
  request: UwsRequest,
  context: UwsUpgradeContext,
  attach: (remoteAddress: string, exceededLimit: ConnectionLimit | undefined) => Attached,
): void {
  const exchange = new Exchange(port, response);
  const { head, asked, asksForEnd } = readHead(port.service, response, request);
  const refusal =
    asked === 'websocket' ? port.service.admit({ ...head, body: '', exceededLimit: undefined }) : undefined;
  if (asked === 'websocket' && refusal === undefined) {
    const exceededLimit = port.connections.upgrades(head.remoteAddress);
    response.upgrade(
      attach(head.remoteAddress, exceededLimit),
      head.headers.get('sec-websocket-key') ?? '',
      chosenSubprotocol(head.headers),
      '',
      context,
    );
    return;
  }
  if (!exchange.begin(head)) return;
  if (asked === 'http') exchange.readBody(head, asksForEnd);
  else if (asked === 'websocket') exchange.refuseWith(head.method, refusal as HttpReply);
  else exchange.refuse(head.method, asked);
}

function readHead<Attached>(service: Service, response: UwsResponse<Attached>, request: UwsRequest) {
  const collector = new HeaderCollector();
  const peer = peerOf(response);
  let isReadAsClose = false as boolean;
  request.forEach((name, value) => {
    // uWebSockets.js reads "close" by its five bytes, and the number of bytes is certain for ASCII only.
    if (name === 'connection' && !/^(?!.{5}$)[ -~]*$/.test(value)) isReadAsClose = true;
    collector.add(name, value);
  });
  const head: RequestHead = {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers: collector.headers,
    remoteAddress: clientOf(service, peer, collector.headers),
  };
  // A proxy reuses a connection for up to a minute. A request that it sends while an idle one is being closed is lost.
  const isOfProxy = isPassedOn(head) || service.isProxy(peer);
  // uWebSockets.js accepts a PROXY header from anybody. The hub trusts only X-Forwarded-For of trusted proxies, so
  // nobody needs to send one.
  const hasProxyHeader = response.getProxiedRemoteAddress().byteLength > 0;
  const asked = hasProxyHeader ? 400 : askedFor(head, collector.bytes);
  return { head, asked, asksForEnd: isReadAsClose || asksToClose(head) || isOfProxy };
}

/** The address at the other end of the connection. */
export function peerOf<Attached>(response: UwsResponse<Attached>): string {
  return addressText(Buffer.from(response.getRemoteAddressAsText()).toString('latin1'));
}
