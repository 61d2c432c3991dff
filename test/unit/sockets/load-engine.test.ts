import { describe, expect, it } from 'vitest';
import { StartError } from '../../../server/lib/start-error.ts';
import { loadEngine, loadSharingEngine, type Machine } from '../../../server/sockets/load-engine.ts';

/** A machine on which these modules are installed; an Error is what loading one throws. */
function machineWith(installed: Record<string, unknown>, asked: string[] = []): Machine {
  return {
    platform: 'darwin',
    arch: 'arm64',
    nodeMajor: '22',
    maxReceiveBytes: 6_291_456,
    require: (name) => {
      asked.push(name);
      const found = installed[name];
      if (found === undefined)
        throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
      if (found instanceof Error) throw found;
      return found;
    },
  };
}

const otherAbi = Object.assign(new Error("Module did not self-register: 'uws.node'.\nat somewhere"), {
  code: 'ERR_DLOPEN_FAILED',
});

describe('loadEngine', () => {
  it('takes uWebSockets.js by its official name first', () => {
    const machine = machineWith({
      'uWebSockets.js': {},
      'uWebSockets.js/package.json': { version: '20.51.0' },
      '@uwsjs/darwin-arm64-22': {},
    });
    const { engine, why } = loadEngine('auto', machine);
    expect(engine.name).toBe('uws');
    expect(why).toBe('uWebSockets.js 20.51.0 loaded');
  });

  it('tries the binary for this Node.js if the first is for another', () => {
    const { engine, why } = loadEngine(
      'uws',
      machineWith({ 'uWebSockets.js': otherAbi, '@uwsjs/darwin-arm64-22': {} }),
    );
    expect(engine.name).toBe('uws');
    expect(why).toBe('@uwsjs/darwin-arm64-22 loaded');
  });

  it('uses ws if none is installed, and reports that', () => {
    const { engine, why } = loadEngine('auto', machineWith({}));
    expect(engine.name).toBe('ws');
    expect(why).toBe('ws: uWebSockets.js is not installed for darwin-arm64, Node.js 22');
  });

  it('uses ws if none loads, and reports why (S12)', () => {
    const { engine, why } = loadEngine('auto', machineWith({ 'uWebSockets.js': otherAbi }));
    expect(engine.name).toBe('ws');
    expect(why).toBe(
      "ws: uWebSockets.js does not load on darwin-arm64, Node.js 22 (Module did not self-register: 'uws.node')",
    );
  });

  it('stops the start in one sentence if uws is asked for and none loads (S12)', () => {
    const load = () => loadEngine('uws', machineWith({ 'uWebSockets.js': otherAbi }));
    expect(load).toThrow(StartError);
    expect(load).toThrow(
      'HUB_TRANSPORT=uws but uWebSockets.js could not be loaded because it does not load on darwin-arm64, Node.js 22 ' +
        "(Module did not self-register: 'uws.node'): install it for this Node.js, or set HUB_TRANSPORT=auto.",
    );
  });

  it('says what a flood can do to uWebSockets.js, unless the kernel bounds what it reads at once', () => {
    const machine = machineWith({ 'uWebSockets.js': {} });
    expect(loadEngine('auto', machine).limit).toContain('HUB_TRANSPORT=ws');
    expect(loadEngine('auto', { ...machine, maxReceiveBytes: undefined }).limit).toContain('HUB_TRANSPORT=ws');
    expect(loadEngine('auto', { ...machine, maxReceiveBytes: 524_287 }).limit).toBeNull();
    expect(loadEngine('ws', machine).limit).toContain('delay new ones with ws');
  });

  it('does not even look for uWebSockets.js if ws is asked for', () => {
    const asked: string[] = [];
    const { engine, why } = loadEngine('ws', machineWith({ 'uWebSockets.js': {} }, asked));
    expect(engine.name).toBe('ws');
    expect(why).toBe('ws: asked for by HUB_TRANSPORT=ws');
    expect(asked).toEqual([]);
  });

  it('configures uWebSockets.js to take large headers before it loads', () => {
    delete process.env['UWS_HTTP_MAX_HEADERS_SIZE'];
    let atLoad: string | undefined;
    loadEngine('auto', {
      ...machineWith({}),
      require: () => {
        atLoad ??= process.env['UWS_HTTP_MAX_HEADERS_SIZE'];
        return {};
      },
    });
    expect(Number(atLoad)).toBeGreaterThan(16_384);
  });
});

describe('the engine of workers', () => {
  it('is the same as without them on Linux', () => {
    const machine = { ...machineWith({ 'uWebSockets.js': {} }), platform: 'linux' };
    expect(loadSharingEngine('auto', machine).engine.name).toBe('uws');
  });

  it('is ws elsewhere, because only Linux hands out connections evenly (C22)', () => {
    const machine = machineWith({ 'uWebSockets.js': {} });
    expect(loadSharingEngine('auto', machine)).toMatchObject({
      engine: { name: 'ws' },
      why: expect.stringMatching(/^ws: workers/) as string,
    });
    expect(loadSharingEngine('ws', machine).engine.name).toBe('ws');
    expect(() => loadSharingEngine('uws', machine)).toThrow(StartError);
  });
});
