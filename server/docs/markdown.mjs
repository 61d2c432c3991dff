/**
 * Markdown to HTML: cuts a document into the sections of a page, gives headings and rules their anchors, and turns links
 * between files into links between pages. Must not know the pages.
 */
import { Marked } from 'marked';

const marked = new Marked();

/** `- **W12** …` begins a rule. */
const RULE = /^\*\*([A-Z]\d+)\*\*/;
const RULE_IDS = /\b[ILTWRHPSN]\d{1,2}\b/g;

export function parse(markdown) {
  const tokens = marked.lexer(markdown);
  const taken = new Map();
  for (const token of tokens) if (token.type === 'heading') token.anchor = anchorOf(token, taken);
  return tokens;
}

/** The anchor of a heading, as GitHub makes it. */
function anchorOf({ tokens }, taken) {
  const slug = plain(tokens)
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-');
  const times = taken.get(slug) ?? 0;
  taken.set(slug, times + 1);
  return times === 0 ? slug : `${slug}-${times}`;
}

/** The tokens of a page. See pages.mjs. Throws if there is no such heading. */
export function sectionsOf(tokens, { only, except = [] }) {
  const missing = new Set([...(only ?? []), ...except]);
  // The innermost of the named sections that a token is in decides.
  const open = [];
  const kept = tokens.filter((token) => {
    if (token.type === 'heading') {
      while (open.length > 0 && open.at(-1).depth >= token.depth) open.pop();
      const title = plain(token.tokens);
      const isExcept = except.includes(title);
      if (isExcept || only?.includes(title)) {
        missing.delete(title);
        open.push({ depth: token.depth, isKept: !isExcept });
      }
    }
    return open.length === 0 ? only === undefined : open.at(-1).isKept;
  });
  if (missing.size > 0) throw new Error(`there is no heading ${[...missing].join(', ')}`);
  return kept;
}

/** The ids of the rules that begin in these tokens. */
export function rulesIn(tokens) {
  const items = tokens.flatMap((token) => (token.type === 'list' ? token.items : []));
  return items.flatMap(({ text }) => RULE.exec(text)?.[1] ?? []);
}

/**
 * Renders what stands below the title of a page: the highest heading becomes `h2`. `resolve` returns the address of a link,
 * undefined for a file that is no page. `ruleAddress` returns the address of a rule by its id, or undefined.
 */
export function render(tokens, { resolve, ruleAddress }) {
  const depths = tokens.flatMap((token) => (token.type === 'heading' ? [token.depth] : []));
  const shift = 2 - Math.min(...depths);
  const renderer = {
    heading({ tokens: inner, depth, anchor }) {
      const level = depth + shift;
      const text = this.parser.parseInline(inner);
      const link = `<a class="anchor" href="#${anchor}" aria-label="Link to this section">#</a>`;
      return `<h${level} id="${anchor}">${text}${link}</h${level}>\n`;
    },
    link({ href, raw, tokens: inner }) {
      const text = this.parser.parseInline(inner);
      // A bare address, such as http://host:port, is an example.
      if (!/^[[<]/.test(raw)) return text;
      const address = /^https?:/.test(href) ? href : resolve(href);
      return address === undefined ? text : `<a href="${escape(address)}">${text}</a>`;
    },
    listitem(item) {
      const [, id] = RULE.exec(item.text) ?? [];
      const body = this.parser.parse(item.tokens, item.loose);
      return id === undefined ? `<li>${body}</li>\n` : `<li id="${id}">${body}</li>\n`;
    },
    table(token) {
      const row = (cells, tag) =>
        `<tr>${cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>\n`;
      const body = token.rows.map((cells) => row(cells, 'td')).join('');
      return `<div class="table"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>\n`;
    },
    code({ text, lang }) {
      const [language = '', file] = (lang ?? '').split(/ file=| /);
      const title = file === undefined ? '' : `<figcaption>${escape(file)}</figcaption>`;
      return `<figure class="code" data-language="${escape(language)}">${title}<pre><code>${escape(text)}\n</code></pre></figure>\n`;
    },
    html({ text }) {
      if (/^\s*(<!--[^]*-->)?\s*$/.test(text)) return '';
      throw new Error(`the documentation has no raw HTML: ${text}`);
    },
    text(token) {
      if (token.tokens !== undefined) return this.parser.parseInline(token.tokens);
      const text = token.escaped ? token.text : escape(token.text);
      return token.isInLink ? text : text.replaceAll(RULE_IDS, (id) => linkTo(id, ruleAddress(id)));
    },
  };
  markLinked(tokens, false);
  const page = new Marked({ renderer });
  return page.parser(tokens);
}

function linkTo(id, address) {
  return address === undefined ? id : `<a href="${escape(address)}">${id}</a>`;
}

/** Marks text in links, in headings and in bold, which is where a rule names itself. */
function markLinked(tokens, isInLink) {
  for (const token of tokens ?? []) {
    const isLinked = isInLink || ['link', 'heading', 'strong'].includes(token.type);
    if (token.type === 'text') token.isInLink = isLinked;
    for (const inner of childrenOf(token)) markLinked(inner, isLinked);
  }
}

function childrenOf(token) {
  if (token.type === 'table') return [...token.header, ...token.rows.flat()].map((cell) => cell.tokens);
  if (token.type === 'list') return token.items.map((item) => item.tokens);
  return token.tokens === undefined ? [] : [token.tokens];
}

/** The text of tokens without marks. */
export function plain(tokens) {
  return (tokens ?? [])
    .map((token) => {
      if (token.type === 'html') return '';
      const inner = childrenOf(token);
      if (inner.length > 0) return inner.map(plain).join(' ');
      return token.type === 'space' ? ' ' : unescaped(token.text ?? '');
    })
    .join('');
}

function unescaped(text) {
  const names = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
  return text.replaceAll(/&(lt|gt|amp|quot|#39);/g, (_, name) => names[name]);
}

export function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
