/**
 * The content of the element's shadow root: a status line, and a list whose rows are updated in place, so that the
 * reader's scroll position stays. Knows entries, but no connections.
 */
import type { Entry } from '../sdk/index.ts';
import { agoInWords } from '../ui/ago.ts';
import { isolable } from '../ui/bidi.ts';
import { statusOrder } from '../ui/order.ts';
import { css } from './style.ts';

/** A shape for each status, so that color alone never distinguishes them. */
const SHAPES = {
  online: 'M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1Z',
  busy: 'M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1ZM4 7h8v2H4Z',
  away: 'M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1ZM8 3a5 5 0 1 1 0 10Z',
  offline: 'M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1ZM8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3Z',
} as const satisfies Record<Entry['status'], string>;

interface Row {
  readonly item: HTMLLIElement;
  readonly shape: SVGPathElement;
  readonly name: HTMLElement;
  readonly about: HTMLElement;
  entry: Entry | undefined;
}

export class FriendList {
  readonly #line = element('p', 'line');
  readonly #list = element('ul', 'list');
  readonly #rows = new Map<string, Row>();
  #nameOf: (user: string) => string = String;

  constructor(root: ShadowRoot) {
    // Not a <style> element, which a strict Content-Security-Policy would refuse.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    this.#line.setAttribute('role', 'status');
    // Without the role, Safari's screen reader does not treat a list without bullets as a list.
    this.#list.setAttribute('role', 'list');
    root.append(this.#line, this.#list);
  }

  labelWith(label: string | null): void {
    this.#list.setAttribute('aria-label', label ?? 'Friends');
  }

  nameBy(nameOf: ((user: string) => string) | null): void {
    this.#nameOf = nameOf ?? String;
    for (const row of this.#rows.values()) row.entry = undefined;
  }

  /** `now` is by the hub's clock. */
  show(entries: ReadonlyMap<string, Entry>, line: string, now: number): void {
    if (this.#line.textContent !== line) this.#line.textContent = line;
    for (const [user, { item }] of this.#rows) {
      if (entries.has(user)) continue;
      item.remove();
      this.#rows.delete(user);
    }
    let next = this.#list.firstChild;
    for (const { entry, name } of this.#inOrder(entries)) {
      const row = this.#rows.get(entry.user) ?? this.#newRow(entry.user);
      if (row.entry !== entry) fill(row, entry, name, now);
      if (row.item === next) next = next.nextSibling;
      else this.#list.insertBefore(row.item, next);
    }
  }

  age(now: number): void {
    for (const { entry, about } of this.#rows.values())
      if (entry?.status === 'offline') about.replaceChildren(...describe(entry, now));
  }

  #inOrder(entries: ReadonlyMap<string, Entry>): { readonly entry: Entry; readonly name: string }[] {
    return [...entries.values()]
      .map((entry) => ({ entry, name: this.#nameOf(entry.user), rank: statusOrder.indexOf(entry.status) }))
      .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  #newRow(user: string): Row {
    const [name, about] = [element('span', 'name'), element('span', 'about')];
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('fill-rule', 'evenodd');
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    mark.setAttribute('part', 'mark');
    mark.setAttribute('viewBox', '0 0 16 16');
    mark.setAttribute('aria-hidden', 'true');
    mark.append(shape);
    const item = element('li', 'friend');
    item.append(mark, name, about);
    const row = { item, shape, name, about, entry: undefined };
    this.#rows.set(user, row);
    return row;
  }
}

function fill(row: Row, entry: Entry, name: string, now: number): void {
  row.entry = entry;
  row.item.setAttribute('part', `friend friend-${entry.status}`);
  row.item.dataset['status'] = entry.status;
  row.item.dataset['user'] = entry.user;
  row.shape.setAttribute('d', SHAPES[entry.status]);
  row.name.replaceChildren(isolate(name));
  row.about.replaceChildren(...describe(entry, now));
}

/** Describes a friend. Its text and device labels are isolated, because clients chose them. */
function describe({ status, text, devices, lastSeen }: Entry, now: number): (Node | string)[] {
  const parts: (Node | string)[] = [status];
  if (text !== undefined && text !== '') parts.push(' · ', isolate(text));
  devices.forEach((device, i) => parts.push(i === 0 ? ' · ' : ', ', isolate(device)));
  if (status === 'offline' && lastSeen !== null) parts.push(` · last seen ${agoInWords(lastSeen, now)}`);
  return parts;
}

function isolate(words: string): HTMLElement {
  const isolate = document.createElement('bdi');
  isolate.textContent = isolable(words);
  return isolate;
}

function element<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, part: string): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.setAttribute('part', part);
  return made;
}
