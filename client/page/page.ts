/**
 * The plain friend page: pick a user, see its friends live, befriend. Speaks the contract directly; the SDK and the full
 * page come later. While the connection is lost it says since when, and keeps showing what it last knew; where the hub asks
 * for a token it asks whoever looks.
 */
import type { Entry, HubMessage } from '../sdk/index.ts';
import { comeBackAfter } from './come-back.ts';
import { currentToken, setToken, takeFromFragment } from './token.ts';

const MARKS = { online: '●', away: '◐', busy: '⊖', offline: '○' } as const;
const ORDER = { online: 0, busy: 1, away: 2, offline: 3 } as const;
const AGE_EVERY_MS = 15_000;
/** The id of the watch, by which its refusal is known. */
const WATCH = 'friends';
const ASK = 'This hub asks for a token: give it here, or open the page with #token=… at the end of its address.';

const page = {
  who: find('who', HTMLFormElement),
  user: find('user', HTMLInputElement),
  mine: find('mine', HTMLSelectElement),
  access: find('access', HTMLFormElement),
  token: find('token', HTMLInputElement),
  connection: find('connection', HTMLParagraphElement),
  friends: find('friends', HTMLUListElement),
  befriend: find('befriend', HTMLFormElement),
  friend: find('friend', HTMLInputElement),
  problem: find('problem', HTMLParagraphElement),
};

let user = '';
let socket: WebSocket | undefined;
/** The hub says that what it shows may be behind. */
let isStale = false;
let heartbeats: number | undefined;
/** Tries since the last welcome. */
let attempt = 0;
let nextTry: number | undefined;
/** When the hub wants this page back, on the page's own clock, where it has said so. */
let notBefore: number | undefined;
let sureAt = new Date();
/** What to resume from after a lost connection; undefined before the first snapshot of a user. */
let since: number | undefined;
const friends = new Map<string, Entry>();

page.who.addEventListener('submit', (event) => {
  event.preventDefault();
  show(page.user.value.trim());
});
page.befriend.addEventListener('submit', (event) => {
  event.preventDefault();
  const friend = page.friend.value.trim();
  page.friend.value = '';
  void change('PUT', friend);
});
page.access.addEventListener('submit', (event) => {
  event.preventDefault();
  setToken(page.token.value.trim());
  useToken();
});
// The address of a page that is open already: nothing is loaded anew.
addEventListener('hashchange', () => {
  if (takeFromFragment()) useToken();
});
setInterval(render, AGE_EVERY_MS);
const asked = new URLSearchParams(location.search).get('user');
if (asked !== null) {
  page.user.value = asked;
  show(asked);
}

function show(id: string): void {
  if (id !== user) {
    friends.clear();
    since = undefined;
  }
  user = id;
  history.replaceState(null, '', `?user=${encodeURIComponent(id)}`);
  page.befriend.hidden = false;
  page.problem.textContent = '';
  connect();
}

function useToken(): void {
  page.token.value = '';
  page.access.hidden = true;
  page.problem.textContent = '';
  attempt = 0;
  if (user !== '') connect();
}

/** Whoever looks has to do something: nothing is tried again by itself. */
function ask(text: string, needsToken: boolean): void {
  page.connection.dataset['state'] = 'refused';
  page.connection.textContent = text;
  page.access.hidden = !needsToken;
}

function connect(): void {
  disconnect();
  notBefore = undefined;
  const opened = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket = opened;
  const send = (message: object) => {
    opened.send(JSON.stringify(message));
  };
  opened.addEventListener('open', () => {
    const status = page.mine.value;
    const token = currentToken();
    // Whoever only watches need not be that user: the token says who it is.
    const observer = token === undefined ? { observe: true, user } : { observe: true, token };
    send({ type: 'hello', ...(status === '' ? observer : { user, token, status, device: 'page' }) });
  });
  opened.addEventListener('message', (event) => {
    if (socket !== opened) return;
    const message = JSON.parse(String(event.data)) as HubMessage;
    if (message.type === 'welcome') {
      attempt = 0;
      heartbeats = setInterval(() => {
        send({ type: 'heartbeat' });
      }, message.heartbeatMs);
      send({ type: 'watch', id: WATCH, friendsOf: user, since });
    }
    hear(message);
  });
  opened.addEventListener('close', ({ code }) => {
    if (socket === opened) closed(code);
  });
}

function closed(code: number): void {
  clearInterval(heartbeats);
  clearTimeout(nextTry);
  isStale = false;
  const next = comeBackAfter(code, attempt, Math.random());
  attempt += 1;
  if (next.kind === 'with a token') {
    const had = currentToken() !== undefined;
    setToken(undefined);
    return ask(had ? 'The hub does not take this token, or it has run out: give a fresh one.' : ASK, true);
  }
  // Another token may be allowed what this one is not.
  if (next.kind === 'never') return ask(`${next.why}.`, code === 4403 && currentToken() !== undefined);
  page.connection.dataset['state'] = 'behind';
  page.connection.textContent = `As of ${sureAt.toLocaleTimeString()}, reconnecting…`;
  const waitMs = notBefore === undefined ? next.ms : notBefore - performance.now();
  nextTry = setTimeout(connect, Math.max(0, waitMs));
}

/** Says goodbye, so that being somebody else next is not seen as a reload. */
function disconnect(): void {
  const old = socket;
  socket = undefined;
  clearInterval(heartbeats);
  clearTimeout(nextTry);
  if (old === undefined) return;
  if (old.readyState === WebSocket.OPEN) old.send('{"type":"bye"}');
  else old.close();
}

function hear(message: HubMessage): void {
  sureAt = new Date();
  switch (message.type) {
    case 'snapshot':
      since = message.at;
      page.access.hidden = true;
      if (message.since === undefined) friends.clear();
      for (const id of message.removed ?? []) friends.delete(id);
      for (const entry of message.entries) friends.set(entry.user, entry);
      break;
    case 'presence':
      since = message.at ?? since;
      for (const entry of message.entries) friends.set(entry.user, entry);
      break;
    case 'friend':
      if (message.op === 'add') friends.set(message.entry.user, message.entry);
      else friends.delete(message.user);
      break;
    case 'stale':
      isStale = true;
      break;
    case 'fresh':
      isStale = false;
      break;
    case 'reconnect':
      comeBackIn(message.afterMs);
      return;
    case 'error':
      complain(message);
      return;
    default: // nothing to show
      return;
  }
  page.connection.dataset['state'] = isStale ? 'behind' : 'live';
  const behind = isStale ? ' (the hub is not sure yet: offline may mean unknown)' : '';
  page.connection.textContent = `Live: ${friends.size} friend${friends.size === 1 ? '' : 's'} of ${user}${behind}`;
  render();
}

/** Until then the connection in hand is as good as any, unless the hub closes it. */
function comeBackIn(afterMs: number): void {
  notBefore = performance.now() + afterMs;
  nextTry = setTimeout(() => socket?.close(), afterMs);
}

function complain({ re, code, message }: Extract<HubMessage, { type: 'error' }>): void {
  // The close that follows leads to the form.
  if (code === 'unauthenticated') return;
  if (re !== WATCH) page.problem.textContent = message;
  else ask(`The hub does not show the friends of ${user}: ${message}.`, code === 'forbidden');
}

async function change(method: 'PUT' | 'DELETE', friend: string): Promise<void> {
  const path = `/v1/users/${encodeURIComponent(user)}/friends/${encodeURIComponent(friend)}`;
  try {
    const token = currentToken();
    const answer = await fetch(path, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    page.problem.textContent = answer.ok ? '' : ((await answer.json()) as { detail: string }).detail;
    if (answer.status === 401 || answer.status === 403) page.access.hidden = false;
  } catch {
    page.problem.textContent = 'The hub did not answer; try again.';
  }
}

function render(): void {
  const sorted = [...friends.values()].sort((a, b) => ORDER[a.status] - ORDER[b.status] || compare(a.user, b.user));
  page.friends.replaceChildren(...sorted.map(row));
}

function row(entry: Entry): HTMLLIElement {
  const remove = element('button', '', 'Unfriend');
  remove.setAttribute('aria-label', `Unfriend ${entry.user}`);
  remove.addEventListener('click', () => void change('DELETE', entry.user));
  const name = element('span', '', entry.user);
  name.append(element('span', 'about', describe(entry)));
  const mark = element('span', 'mark', MARKS[entry.status]);
  mark.setAttribute('aria-hidden', 'true');
  const item = element('li', entry.status);
  item.dataset['user'] = entry.user;
  item.append(mark, name, remove);
  return item;
}

function describe(entry: Entry): string {
  const parts = [entry.status, entry.text, entry.devices.join(', ')];
  if (entry.status === 'offline' && entry.lastSeen !== null) parts.push(`last seen ${ago(entry.lastSeen)}`);
  return parts.filter((part) => part !== undefined && part !== '').join(' · ');
}

function ago(at: number): string {
  const minutes = Math.max(0, Math.floor((Date.now() - at) / 60_000));
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} d ago`;
}

function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = '',
  text = '',
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function find<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page lacks #${id}`);
  return found;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
