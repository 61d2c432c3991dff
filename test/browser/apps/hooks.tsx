/** A page whose buttons do what an app does to the provider and the hooks: mounts, unmounts, changes who is looked at. */
import { Activity, StrictMode, useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import {
  PresenceProvider,
  useConnectionStatus,
  useFriend,
  useFriends,
  useMyPresence,
} from '../../../client/react/index.ts';
import { createPresenceClient } from '../../../client/sdk/index.ts';

const asked = new URLSearchParams(location.search);
const url = asked.get('hub') ?? '';
const ownClient = asked.has('own')
  ? createPresenceClient({ url, user: asked.has('observe') ? undefined : '42', tabs: 'each' })
  : undefined;
const manyIds = Array.from({ length: 300 }, (_, index) => `many-${index}`);

function Friends({ id, user }: { id: string; user?: string }): ReactNode {
  const { friends, isSynced, staleSince, status, error } = useFriends(user);
  return (
    <ul id={id} data-synced={isSynced} data-stale={staleSince !== null} data-status={status} data-error={error?.code}>
      {friends.map((entry) => (
        <li key={entry.user}>
          {entry.user} {entry.status}
        </li>
      ))}
    </ul>
  );
}

function One({ id }: { id: string | undefined }): ReactNode {
  const { friend, isSynced, error } = useFriend(id);
  return <p id={id} data-synced={isSynced}>{`${id} ${error?.message ?? friend?.status ?? 'unknown'}`}</p>;
}

function Me(): ReactNode {
  const { self, set, leave } = useMyPresence();
  useEffect(() => {
    // What a child says before the provider itself is mounted must not be lost.
    if (asked.has('busy')) set({ status: 'busy', text: 'from an effect' });
  }, [set]);
  return (
    <>
      <p id="me">{self === null ? 'unknown' : `${self.status} ${self.text ?? ''} ${self.devices.join()}`}</p>
      <button onClick={() => set({ status: 'away' })}>away</button>
      <button onClick={() => void leave()}>leave</button>
    </>
  );
}

function Connection(): ReactNode {
  const { status, staleSince } = useConnectionStatus();
  return <p id="connection">{`${status} ${staleSince === null ? 'fresh' : 'stale'}`}</p>;
}

function Toggle({ name, children, isOn = false }: { name: string; children: ReactNode; isOn?: boolean }): ReactNode {
  const [isShown, setShown] = useState(isOn);
  return (
    <>
      <button onClick={() => setShown(!isShown)}>{name}</button>
      {isShown && children}
    </>
  );
}

function App(): ReactNode {
  const [user, setUser] = useState(asked.has('nobody') ? undefined : '42');
  const [mode, setMode] = useState<'visible' | 'hidden'>('visible');
  // New objects and functions in every render, as apps write them.
  const provided =
    ownClient === undefined
      ? { options: { url, user, device: 'react', tabs: 'each' as const, getToken: () => '' } }
      : { client: ownClient };
  return (
    <>
      <button onClick={() => setUser('43')}>be 43</button>
      <button onClick={() => setUser('42')}>be 42</button>
      <button onClick={() => setUser(undefined)}>be nobody</button>
      <button onClick={() => setMode(mode === 'visible' ? 'hidden' : 'visible')}>hide</button>
      <Toggle name="provider" isOn>
        <Activity mode={mode}>
          <PresenceProvider {...provided}>
            <Connection />
            <Me />
            <Friends id="mine" />
            <Toggle name="second list">
              <Friends id="second" />
            </Toggle>
            <Toggle name="friends of 7">
              <Friends id="theirs" user="7" />
            </Toggle>
            <Toggle name="nobody">
              <One id={undefined} />
            </Toggle>
            <Toggle name="bad id">
              <One id="a b" />
            </Toggle>
            <Toggle name="many">
              {manyIds.map((id) => (
                <One key={id} id={id} />
              ))}
            </Toggle>
          </PresenceProvider>
        </Activity>
      </Toggle>
    </>
  );
}

const root = document.querySelector('#root');
if (root === null) throw new Error('the page has no root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
