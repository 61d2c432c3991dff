/**
 * The documentation as the hub serves it: a file of HTML for each page, and an index for the search. Reads the Markdown of
 * the repository (pages.mjs) and the template that Vite has built. A link to an anchor that does not exist fails the build.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import MiniSearch from 'minisearch';
import { escape, parse, plain, render, rulesIn, sectionsOf } from './markdown.mjs';
import { groups } from './pages.mjs';

/** The page of all pages. */
const HOME = { path: '', title: 'Documentation', tokens: [], file: undefined };

/** Options of the index; client/docs/search.ts names the same fields. */
const SEARCH = {
  fields: ['title', 'heading', 'text'],
  storeFields: ['title', 'heading', 'path', 'begin'],
  // HUB_GRACE_MS is found as a whole and by its parts.
  tokenize: (text) =>
    [...text.matchAll(/[\p{L}\p{N}_]+/gu)].flatMap(([word]) =>
      word.includes('_') ? [word, ...word.split('_')] : [word],
    ),
};

export const sources = [...new Set(groups.flatMap(({ pages }) => pages.map(({ file }) => file)))];

/** Writes the pages into `output`, where Vite has left `index.html` as the template, and `assets/`. */
export function buildDocs(root, output) {
  const template = readFileSync(join(output, 'index.html'), 'utf8');
  // Pages of an earlier build.
  for (const name of readdirSync(output, { recursive: true })) if (name.endsWith('.html')) rmSync(join(output, name));
  const pages = readPages(root);
  const find = createFinder(pages);
  const index = JSON.stringify(createIndex(pages));
  const indexPath = `assets/search-${createHash('sha256').update(index).digest('base64url').slice(0, 8)}.json`;
  mkdirSync(join(output, 'assets'), { recursive: true });
  writeFileSync(join(output, indexPath), index);
  for (const page of [HOME, ...pages]) {
    const file = join(output, `${page.path === '' ? 'index' : page.path}.html`);
    mkdirSync(dirname(file), { recursive: true });
    const parts = {
      title: escape(page.title),
      navigation: navigationOf(page, pages),
      content: page === HOME ? homeContent() : contentOf(page, pages, find),
      around: aroundOf(page, pages),
      home: relativeTo(page, HOME),
      above: page === HOME ? '' : `${rootOf(page)}../`,
      index: rootOf(page) + indexPath,
    };
    const filled = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
    writeFileSync(file, filled.replaceAll('"./assets/', `"${rootOf(page)}assets/`));
  }
}

function readPages(root) {
  const parsed = new Map(sources.map((file) => [file, parse(readFileSync(join(root, file), 'utf8'))]));
  const listed = groups.flatMap(({ title: group, pages }) => pages.map((page) => ({ ...page, group })));
  return listed.flatMap((page) => {
    const tokens = sectionsOf(parsed.get(page.file), page);
    return page.isSplit ? splitPage({ ...page, tokens }) : [{ ...page, tokens }];
  });
}

/** A page for each section of the second level, below the page with what comes before them. */
function splitPage(page) {
  const starts = page.tokens.flatMap((token, i) => (token.type === 'heading' && token.depth === 2 ? [i] : []));
  const parts = starts.map((start, n) => page.tokens.slice(start, starts[n + 1]));
  const below = parts.map((tokens) => {
    const title = plain(tokens[0].tokens);
    const about = plain(tokens.filter(({ type }) => type === 'paragraph').slice(0, 1));
    return {
      path: `${page.path}/${title}`,
      title,
      about,
      file: page.file,
      group: page.group,
      parent: page.path,
      tokens,
    };
  });
  return [{ ...page, tokens: page.tokens.slice(0, starts[0]), below }, ...below];
}

/** Returns a function that finds the page of a link or rule, as `{ page, anchor }`. */
function createFinder(pages) {
  const anchors = new Map();
  const rules = new Map();
  for (const page of pages) {
    if (page.parent === undefined && !anchors.has(page.file)) anchors.set(page.file, { page, anchor: '' });
    for (const [i, token] of page.tokens.entries()) {
      if (token.type !== 'heading') continue;
      anchors.set(`${page.file}#${token.anchor}`, { page, anchor: i === 0 ? '' : token.anchor });
    }
    for (const id of rulesIn(page.tokens)) rules.set(id, { page, anchor: id });
  }
  return {
    rule: (id) => rules.get(id),
    link: (from, href) => {
      const [path, anchor] = href.split('#');
      const file = path === '' ? from.file : posix.join(posix.dirname(from.file), path);
      if (!sources.includes(file)) return undefined;
      const found = anchors.get(anchor === undefined ? file : `${file}#${anchor}`) ?? partly(file, anchor);
      if (found === undefined) throw new Error(`${from.file}: the link ${href} leads nowhere`);
      return found;
    },
  };
  /** A heading of a source that is shown in part only has no page, so its link is left out. */
  function partly(file) {
    const isWhole = pages.some((page) => page.file === file && page.only === undefined);
    return isWhole ? undefined : anchors.get(file);
  }
}

function contentOf(page, pages, find) {
  const address = ({ page: target, anchor }) =>
    target === page && anchor !== '' ? `#${anchor}` : relativeTo(page, target) + (anchor === '' ? '' : `#${anchor}`);
  const found = (target) => target && address(target);
  const { title, text } = titleAndText(page);
  const html = render(text, {
    resolve: (href) => found(find.link(page, href)),
    ruleAddress: (id) => found(find.rule(id)),
  });
  return `<h1>${escape(title)}</h1>\n${html}${listOf(page, page.below ?? [])}`;
}

/**
 * The title of a page and what stands below it. A whole document has its own title. A part of one has the title of the page
 * instead of a first heading that holds all of it.
 */
function titleAndText({ title, only, tokens }) {
  const [first, ...text] = tokens;
  const isHolding = !text.some(({ type, depth }) => type === 'heading' && depth <= first.depth);
  if (first.type !== 'heading' || !isHolding) return { title, text: tokens };
  return { title: only === undefined ? plain(first.tokens) : title, text };
}

function homeContent() {
  const lead =
    '<p class="lead">How to run the hub, write clients for it, and what each message, setting and error means.</p>';
  const cards = groups.map(
    ({ title, pages }) => `<h2 id="${title.toLowerCase()}">${title}</h2>\n${listOf(HOME, pages, 'cards')}`,
  );
  return `<h1>Documentation</h1>\n${lead}\n${cards.join('')}`;
}

function listOf(from, pages, kind = 'entries') {
  if (pages.length === 0) return '';
  const items = pages.map(
    (page) =>
      `<li><a href="${relativeTo(from, page)}">${escape(page.title)}</a> <span>${escape(page.about)}</span></li>\n`,
  );
  return `<ul class="${kind}">\n${items.join('')}</ul>\n`;
}

function navigationOf(current, pages) {
  const item = (page) => {
    const isCurrent = page.path === current.path;
    const mark = isCurrent ? ' aria-current="page"' : page.path === current.parent ? ' class="above"' : '';
    const below = isCurrent ? headingsOf(page) : '';
    return `<li><a href="${relativeTo(current, page)}"${mark}>${escape(page.title)}</a>${below}</li>\n`;
  };
  return groups
    .map(({ title }) => {
      const items = pages.filter(({ group, parent }) => group === title && parent === undefined).map(item);
      return `<p class="group">${title}</p>\n<ul>\n${items.join('')}</ul>\n`;
    })
    .join('');
}

/** The headings below the title of a page, as a list. */
function headingsOf(page) {
  const headings = titleAndText(page).text.filter(({ type }) => type === 'heading');
  const top = Math.min(...headings.map(({ depth }) => depth));
  const items = headings
    .filter(({ depth }) => depth === top)
    .map(({ anchor, tokens: title }) => `<li><a href="#${anchor}">${escape(plain(title))}</a></li>\n`);
  return items.length === 0 ? '' : `\n<ul>\n${items.join('')}</ul>\n`;
}

/** Links to the pages before and after. */
function aroundOf(current, pages) {
  const all = [HOME, ...pages.filter(({ parent }) => parent === undefined)];
  const at = all.findIndex(({ path }) => path === (current.parent ?? current.path));
  const [before, after] = current.parent === undefined ? [all[at - 1], all[at + 1]] : [all[at], undefined];
  const link = (page, rel) =>
    page === undefined
      ? '<span></span>'
      : `<a rel="${rel}" href="${relativeTo(current, page)}">${escape(page.title)}</a>`;
  return `${link(before, 'prev')}${link(after, 'next')}`;
}

/** One document for each heading, with what stands below it. */
function createIndex(pages) {
  const search = new MiniSearch(SEARCH);
  let id = 0;
  for (const page of pages) {
    let section = { title: page.title, heading: '', path: page.path, text: '' };
    const add = () => {
      const text = section.text.replaceAll(/\s+/g, ' ').trim();
      if (text !== '' || section.heading !== '') search.add({ id: id++, ...section, text, begin: text.slice(0, 120) });
    };
    for (const [i, token] of page.tokens.entries()) {
      if (token.type === 'heading' && i > 0) {
        add();
        section = { title: page.title, heading: plain(token.tokens), path: `${page.path}#${token.anchor}`, text: '' };
      } else if (token.type !== 'heading') section.text += ` ${plain([token])}`;
    }
    add();
  }
  return search;
}

/** What leads from a page to the folder of the documentation. */
function rootOf({ path }) {
  return path === '' ? 'docs/' : '../'.repeat(path.split('/').length - 1) || './';
}

/** Addresses are relative, because a proxy may serve the hub below a path. */
function relativeTo(from, to) {
  const [source, target] = [posix.join('/docs', from.path), posix.join('/docs', to.path)];
  return posix.join(posix.relative(posix.dirname(source), posix.dirname(target)), posix.basename(target));
}
