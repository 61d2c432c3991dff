/**
 * The plain friend page: pick a user, see its friends live, befriend. Speaks the contract directly; the SDK and the full
 * page come later. While the connection is lost it says since when, and keeps showing what it last knew.
 */
import type { Entry, HubMessage } from '../sdk/index.ts';

const MARKS = { online: '●', away: '◐', busy: '⊖', offline: '○' } as const;
const ORDER = { online: 0, busy: 1, away: 2, offline: 3 } as const;
const MAX_RETRY_MS = 10_000;
const AGE_EVERY_MS = 15_000;

const page = {
  who: find('who', HTMLFormElement),
  user: find('user', HTMLInputElement),
  mine: find('mine', HTMLSelectElement),
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
let retryMs = 500;
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

function connect(): void {
  disconnect();
  const opened = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket = opened;
  const send = (message: object) => {
    opened.send(JSON.stringify(message));
  };
  opened.addEventListener('open', () => {
    const status = page.mine.value;
    send(status === '' ? { type: 'hello', observe: true, user } : { type: 'hello', user, status, device: 'page' });
  });
  opened.addEventListener('message', (event) => {
    if (socket !== opened) return;
    const message = JSON.parse(String(event.data)) as HubMessage;
    if (message.type === 'welcome') {
      retryMs = 500;
      heartbeats = setInterval(() => {
        send({ type: 'heartbeat' });
      }, message.heartbeatMs);
      send({ type: 'watch', friendsOf: user, since });
    }
    hear(message);
  });
  opened.addEventListener('close', () => {
    if (socket !== opened) return;
    clearInterval(heartbeats);
    isStale = false;
    page.connection.dataset['state'] = 'behind';
    page.connection.textContent = `As of ${sureAt.toLocaleTimeString()}, reconnecting…`;
    setTimeout(() => {
      if (socket === opened) connect();
    }, Math.random() * retryMs);
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  });
}

/** Says goodbye, so that being somebody else next is not seen as a reload. */
function disconnect(): void {
  const old = socket;
  socket = undefined;
  clearInterval(heartbeats);
  if (old === undefined) return;
  if (old.readyState === WebSocket.OPEN) old.send('{"type":"bye"}');
  else old.close();
}

function hear(message: HubMessage): void {
  sureAt = new Date();
  switch (message.type) {
    case 'snapshot':
      since = message.at;
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
    case 'error':
      page.problem.textContent = message.message;
      break;
    default: // nothing to show
      return;
  }
  page.connection.dataset['state'] = isStale ? 'behind' : 'live';
  const behind = isStale ? ' (the hub is not sure yet: offline may mean unknown)' : '';
  page.connection.textContent = `Live: ${friends.size} friend${friends.size === 1 ? '' : 's'} of ${user}${behind}`;
  render();
}

async function change(method: 'PUT' | 'DELETE', friend: string): Promise<void> {
  const path = `/v1/users/${encodeURIComponent(user)}/friends/${encodeURIComponent(friend)}`;
  try {
    const answer = await fetch(path, { method });
    page.problem.textContent = answer.ok ? '' : ((await answer.json()) as { detail: string }).detail;
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
