/** The search: loads the index that the build has made when the input is first used, and lists the best sections. */
import MiniSearch, { type SearchResult } from 'minisearch';

/** The fields are those of server/docs/site.mjs, which makes the index. What is typed is split at spaces and signs only. */
const OPTIONS = {
  fields: ['title', 'heading', 'text'],
  storeFields: ['title', 'heading', 'path', 'begin'],
  tokenize: (text: string) => text.match(/[\p{L}\p{N}_]+/gu) ?? [],
};
const MAX_RESULTS = 12;

interface Section {
  readonly title: string;
  /** Empty for the beginning of a page. */
  readonly heading: string;
  /** Below the documentation's folder, with the anchor. */
  readonly path: string;
  readonly begin: string;
}

export function startSearch(): void {
  const box = document.querySelector<HTMLElement>('search');
  const input = document.querySelector<HTMLInputElement>('#search');
  const list = document.querySelector<HTMLElement>('#results');
  const status = document.querySelector('#found');
  if (box === null || input === null || list === null || status === null) throw new Error('the page has no search');
  const { index = '' } = box.dataset;
  // The index is in the folder `assets` of the documentation.
  const folder = new URL('..', new URL(index, location.href));
  let loading: Promise<MiniSearch<Section>> | undefined;
  const load = (): Promise<MiniSearch<Section>> => (loading ??= loadIndex(index));

  const show = async (): Promise<void> => {
    const words = input.value.trim();
    if (words === '') {
      close();
      return;
    }
    const found = await load().then(
      (search) => find(search, words),
      () => undefined,
    );
    // The user has typed on in the meantime.
    if (input.value.trim() !== words) return;
    if (found === undefined) loading = undefined;
    status.textContent = found === undefined ? 'The search did not load.' : `${found.length} results`;
    list.replaceChildren(...(found ?? []).map((section) => itemOf(section, folder)));
    if (found?.length === 0)
      list.append(Object.assign(document.createElement('li'), { textContent: 'Nothing found.' }));
    list.hidden = found === undefined;
  };
  const close = (): void => {
    list.hidden = true;
    status.textContent = '';
  };
  input.addEventListener('focus', () => void load().catch(() => undefined));
  input.addEventListener('input', () => void show());
  box.addEventListener('focusout', ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && box.contains(relatedTarget))) close();
  });
  box.addEventListener('keydown', (event) => {
    move(event, input, list, close);
  });
  addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
}

async function loadIndex(address: string): Promise<MiniSearch<Section>> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
  return MiniSearch.loadJSON<Section>(await answer.text(), OPTIONS);
}

function find(search: MiniSearch<Section>, words: string): (SearchResult & Section)[] {
  const options = { prefix: true, fuzzy: 0.15, combineWith: 'AND', boost: { title: 4, heading: 3 } } as const;
  return search.search(words, options).slice(0, MAX_RESULTS) as (SearchResult & Section)[];
}

function itemOf({ title, heading, path, begin }: Section, folder: URL): HTMLLIElement {
  const link = Object.assign(document.createElement('a'), { href: new URL(path, folder).href });
  const name = Object.assign(document.createElement('strong'), { textContent: heading === '' ? title : heading });
  const where = heading === '' ? '' : `${title} · `;
  link.append(name, Object.assign(document.createElement('span'), { textContent: `${where}${begin}` }));
  const item = document.createElement('li');
  item.append(link);
  return item;
}

/** Arrow keys move through the results, Enter in the input opens the first, Escape closes them. */
function move(event: KeyboardEvent, input: HTMLInputElement, list: HTMLElement, close: () => void): void {
  const links = [...list.querySelectorAll('a')];
  const at = links.findIndex((link) => link === document.activeElement);
  if (event.key === 'ArrowDown') (links[at + 1] ?? input).focus();
  else if (event.key === 'ArrowUp') (links[at < 0 ? links.length - 1 : at - 1] ?? input).focus();
  else if (event.key === 'Enter' && at < 0) links[0]?.click();
  else if (event.key === 'Escape') {
    input.focus();
    close();
  } else return;
  if (event.key !== 'Enter' || at < 0) event.preventDefault();
}
