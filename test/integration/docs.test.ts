/** The documentation at /docs: every link and anchor leads somewhere, nothing comes from elsewhere, every error has its page. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { badFrameReasons, closeCodes, ERROR_PAGES, errorCodes, problemCodes } from '../../shared/reasons.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';

interface Fetched {
  readonly address: string;
  readonly html: string;
  readonly anchors: ReadonlySet<string>;
  /** Where the links of the page lead. */
  readonly links: readonly URL[];
}

describe('/docs', () => {
  let hub: string;
  const pages = new Map<string, Fetched>();

  const read = async (address: string): Promise<Fetched> => {
    const answer = await fetch(address);
    expect([address, answer.status]).toEqual([address, 200]);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self';");
    const html = await answer.text();
    const values = (name: string) =>
      [...html.matchAll(new RegExp(` ${name}="([^"]*)"`, 'g'))].map(([, value]) => value!);
    const anchors = values('id');
    expect(new Set(anchors).size, `${address} has an id twice`).toBe(anchors.length);
    const links = values('href').map((href) => new URL(href.replaceAll('&amp;', '&'), address));
    return { address, html, anchors: new Set(anchors), links };
  };
  const isPage = ({ origin, pathname }: URL) =>
    origin === hub && pathname.startsWith('/docs') && !/\.\w+$/.test(pathname);

  beforeAll(async () => {
    const lines = await startHubProcess({ HUB_DATA: ':memory:' }).started;
    hub = startLine(lines, 'page').replace(/\/$/, '');
    const open = [`${hub}/docs`];
    for (let address = open.pop(); address !== undefined; address = open.pop()) {
      const page = await read(address);
      pages.set(address, page);
      for (const link of page.links.filter(isPage)) {
        const target = link.origin + link.pathname;
        if (!pages.has(target) && !open.includes(target)) open.push(target);
      }
    }
  }, 120_000);
  afterAll(endHubProcesses);

  it('has no dead link and no dead anchor', async () => {
    const dead: string[] = [];
    const checked = new Set<string>();
    for (const { address, links } of pages.values()) {
      for (const link of links) {
        const target = pages.get(link.origin + link.pathname);
        if (isPage(link)) {
          const anchor = decodeURIComponent(link.hash.slice(1));
          if (target === undefined || (anchor !== '' && !target.anchors.has(anchor)))
            dead.push(`${address}: ${link.href}`);
        } else if (link.origin === hub && !link.search && !checked.has(link.pathname)) {
          checked.add(link.pathname);
          if ((await fetch(link)).status !== 200) dead.push(`${address}: ${link.href}`);
        }
      }
    }
    expect(dead).toEqual([]);
    expect(pages.size).toBeGreaterThan(50);
  });

  it('asks nothing of other servers, and holds no script or style in a page', () => {
    for (const { address, html } of pages.values()) {
      for (const [, tag, attributes = ''] of html.matchAll(/<(script|link|img|iframe|source|style)\b([^>]*)>/g)) {
        expect(`${address} ${tag}${attributes}`).not.toMatch(/(src|href)="(https?:)?\/\//);
        expect(tag).not.toBe('style');
      }
      expect(html).not.toMatch(/<script[^>]*>[^<]| style="| on\w+="/);
      // A proxy may serve the hub below a path.
      expect(html).not.toMatch(/ (src|href|data-\w+)="\//);
    }
  });

  it('has a page for the code of every error, with its remedy and an example (H45)', () => {
    const codes = [
      ...[errorCodes, problemCodes, badFrameReasons].flatMap((table) => Object.keys(table)),
      ...Object.values(closeCodes).map(({ code }) => String(code)),
    ];
    for (const code of codes) {
      const page = pages.get(`${hub}${ERROR_PAGES}${code}`);
      expect(page?.html, code).toContain(`<h1>${code}</h1>`);
      expect(page?.html).toContain('What to do:');
      expect(page?.html).toContain('<pre><code>');
    }
  });

  it('is where the type of an error leads (H45)', async () => {
    const answer = await fetch(`${hub}/v1/presence/a%20b`);
    const { type } = (await answer.json()) as { type: string };
    expect(type).toBe('/docs/errors/bad_request');
    expect(pages.has(new URL(type, answer.url).href)).toBe(true);
  });

  it('has every rule at an anchor of its id', () => {
    const rules = [
      ...readFileSync(new URL('../../shared/PROTOCOL.md', import.meta.url), 'utf8').matchAll(/^- \*\*(\w+)\*\*/gm),
    ];
    const anchors = new Set([...pages.values()].flatMap((page) => [...page.anchors]));
    expect(rules.length).toBeGreaterThan(200);
    expect(rules.map(([, id]) => id!).filter((id) => !anchors.has(id))).toEqual([]);
  });

  it('sends who types a slash at the end to the page without it, because addresses are relative', async () => {
    expect((await fetch(`${hub}/docs/`)).url).toBe(`${hub}/docs`);
  });
});
