/** A page that a server renders and the browser takes over; it reports what React had to repair. */
import { StrictMode, type ReactNode } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { PresenceProvider, useConnectionStatus, useFriends } from '../../../client/react/index.ts';

function Friends(): ReactNode {
  const { friends, isSynced } = useFriends();
  const { status } = useConnectionStatus();
  return <p id="friends">{`${status} ${isSynced ? friends.map(({ user }) => user).join() : 'not yet'}`}</p>;
}

export function Hydrated({ url }: { url: string }): ReactNode {
  return (
    <StrictMode>
      <PresenceProvider options={{ url, user: '42', tabs: 'each' }}>
        <Friends />
      </PresenceProvider>
    </StrictMode>
  );
}

// The test itself also renders it, without a document.
if (typeof document !== 'undefined') {
  const url = new URLSearchParams(location.search).get('hub') ?? '';
  const root = document.querySelector('#root');
  if (root === null) throw new Error('the page has no root');
  hydrateRoot(root, <Hydrated url={url} />, {
    onRecoverableError: (error) => {
      throw error;
    },
  });
}
