import { describe, expect, it } from 'vitest';
import type { WsJsonOptions } from '../../../../server/adapters/ws-json/context.ts';
import { WsJson } from '../../../../server/adapters/ws-json/ws-json.ts';
import { BYE_CLOSE_WITHIN_MS } from '../../../../shared/limits.ts';
import type { Socket } from '../../../../server/sockets/port.ts';
import { TestClock } from '../../../support/clock.ts';

const MAX_LEAVING = 1000;

/** What was done to a socket, in order. */
function recordingSocket(): Socket & { readonly log: string[] } {
  const log: string[] = [];
  return {
    log,
    exceededLimit: 'connections' as const,
    remoteAddress: '192.0.2.7',
    send: (text) => {
      log.push((JSON.parse(String(text)) as { type: string }).type);
      return 'sent';
    },
    ping: () => log.push('ping'),
    pause: () => log.push('pause'),
    resume: () => log.push('resume'),
    close: (code) => log.push(`close ${code}`),
    terminate: () => log.push('terminate'),
  };
}

describe('sockets that there is no room for', () => {
  const clock = new TestClock();
  /** An adapter whose house is full: those that are turned away need nothing else of the hub. */
  const fullHouse = (): WsJson => {
    const options: Partial<WsJsonOptions> = {
      clock,
      node: 'test',
      onRefused: () => undefined,
    };
    return new WsJson(options as WsJsonOptions);
  };

  it('are asked to reconnect, are no connections, and are not read', () => {
    const adapter = fullHouse();
    const socket = recordingSocket();
    const events = adapter.opened(socket);
    expect(socket.log).toEqual(['reconnect', 'close 1013']);
    events.message('{"type":"hello","user":"42"}');
    events.binary();
    events.oversize();
    events.pong();
    events.drained();
    events.closed();
    expect(socket.log).toEqual(['reconnect', 'close 1013']);
    expect(adapter.connectionCount).toBe(0);
  });

  it('are cut if they have not closed 5 s later', () => {
    const adapter = fullHouse();
    const [stays, goes] = [recordingSocket(), recordingSocket()];
    adapter.opened(stays);
    adapter.opened(goes).closed();
    clock.pass(BYE_CLOSE_WITHIN_MS + 50);
    adapter.tick(clock.monoMs);
    expect(stays.log.at(-1)).toBe('terminate');
    expect(goes.log).not.toContain('terminate');
  });

  it('are cut at once beyond a thousand that are leaving, until some have gone', () => {
    const adapter = fullHouse();
    const leaving = Array.from({ length: MAX_LEAVING }, () => adapter.opened(recordingSocket()));
    const beyond = recordingSocket();
    adapter.opened(beyond).closed();
    expect(beyond.log).toEqual(['terminate']);
    leaving[0]?.closed();
    const next = recordingSocket();
    adapter.opened(next);
    expect(next.log).toEqual(['reconnect', 'close 1013']);
  });
});
