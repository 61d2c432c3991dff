/** The page of one user: the user's own card beside the friends. Joins the visit with the components that show it. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { Announcer } from './announcer.tsx';
import { Befriend } from './befriend.tsx';
import { FriendDetails } from './friend-details.tsx';
import { FriendList } from './list/friend-list.tsx';
import { useNow, usePicture, useToast, useTokenWanted } from './hooks.ts';
import { keepMine, keptMine, onMineChanged, type Mine } from '../local-storage.ts';
import { Me } from './me.tsx';
import { NoFriends, NoneFound, Waiting } from './list/placeholders.tsx';
import { Visit, type Picture, type Who } from '../visit.ts';
import { ThemeButton } from './theme-button.tsx';
import { onToken } from '../token.ts';
import { Toolbar } from './list/toolbar.tsx';
import { TokenForm } from './welcome.tsx';
import { describeConnection, isFollowing } from '../descriptions.ts';

interface HomeProps {
  readonly who: Who;
  readonly onSwitch: (who: Who | undefined) => void;
}

export function Home({ who, onSwitch }: HomeProps) {
  const visit = useVisit(who);
  const picture = usePicture(visit);
  const now = useNow(visit);
  const [mine, setMine] = useMine(who.user, visit);
  const [opened, setOpened] = useState<string>();
  const [toast, say] = useToast();
  const { connection, entries } = picture;
  const openedEntry = opened === undefined ? undefined : entries.get(opened);
  return (
    <div class="home">
      <aside>
        {who.isObserver ? (
          <OnlyWatching user={who.user} onJoin={() => onSwitch({ ...who, isObserver: false })} />
        ) : (
          <Me
            user={who.user}
            mine={mine}
            self={picture.self}
            isConnected={isFollowing(connection)}
            onSet={setMine}
            onSwitch={() => onSwitch(undefined)}
          />
        )}
      </aside>
      <Friends visit={visit} picture={picture} now={now} onOpen={setOpened} onDone={say} />
      {openedEntry !== undefined && (
        <FriendDetails
          user={who.user}
          entry={openedEntry}
          isBehind={connection.kind !== 'live'}
          now={now}
          onClose={() => setOpened(undefined)}
          onDone={(words) => {
            setOpened(undefined);
            say(words);
          }}
        />
      )}
      <p role="status" class={toast === '' ? 'toast' : 'toast up'}>
        {toast}
      </p>
      <Announcer visit={visit} connection={connection} words={describeConnection(connection, now)} />
    </div>
  );
}

interface FriendsProps {
  readonly visit: Visit;
  readonly picture: Picture;
  readonly now: number;
  readonly onOpen: (user: string) => void;
  /** Receives a description of what was done. */
  readonly onDone: (words: string) => void;
}

function Friends({ visit, picture, now, onOpen, onDone }: FriendsProps) {
  const { user, isObserver } = visit.who;
  const { connection, rows, total, isSynced } = picture;
  const [search, setSearch] = useState('');
  const [isAdding, setAdding] = useState(false);
  const open = useCallback(onOpen, []);
  const lookFor = (text: string): void => {
    setSearch(text);
    visit.search(text);
  };
  const befriend = (
    <Befriend
      user={user}
      onDone={(words) => {
        setAdding(false);
        onDone(words);
      }}
    />
  );
  return (
    <main data-connection={connection.kind}>
      <Toolbar
        title={isObserver ? `Friends of ${user}` : 'Friends'}
        picture={picture}
        words={describeConnection(connection, now)}
        search={search}
        onSearch={lookFor}
        isAdding={isAdding}
        onAdd={setAdding}
      >
        {befriend}
      </Toolbar>
      <AskForToken isRefused={connection.kind === 'refused' && connection.wantsToken} />
      {rows.length > 0 && (
        <FriendList rows={rows} search={search} isBehind={connection.kind !== 'live'} now={now} onOpen={open} />
      )}
      {connection.kind === 'connecting' && <Waiting />}
      {isSynced && total === 0 && <NoFriends>{befriend}</NoFriends>}
      {total > 0 && rows.length === 0 && <NoneFound search={search} onClear={() => lookFor('')} />}
    </main>
  );
}

function AskForToken({ isRefused }: { readonly isRefused: boolean }) {
  const isWanted = useTokenWanted();
  if (!isWanted && !isRefused) return null;
  return (
    <section class="card ask" aria-label="Access">
      {isWanted && !isRefused && <p>Your token has expired, or will expire soon.</p>}
      <TokenForm />
    </section>
  );
}

function OnlyWatching({ user, onJoin }: { readonly user: string; readonly onJoin: () => void }) {
  return (
    <section class="card me" aria-label="Me">
      <div class="identity">
        <div>
          <h2>Just watching</h2>
          <p class="quiet">Friends don’t see you online</p>
        </div>
        <ThemeButton />
      </div>
      <button type="button" onClick={onJoin}>
        Go online as {user}
      </button>
    </section>
  );
}

/** Returns a new visit if the hub refused the old one and a token was given since. */
function useVisit(who: Who): Visit {
  const [visit, setVisit] = useState(() => new Visit(who, keptMine(who.user)));
  useEffect(() => {
    const off = onToken(({ isGiven }) => {
      const { connection } = visit.picture;
      if (isGiven && connection.kind === 'refused' && connection.isOver) setVisit(new Visit(who, keptMine(who.user)));
    });
    return () => {
      off();
      visit.end();
    };
  }, [visit]);
  return visit;
}

function useMine(user: string, visit: Visit): [Mine, (said: Partial<Mine>) => void] {
  const [mine, setMine] = useState(() => keptMine(user));
  useEffect(() => onMineChanged(user, () => setMine(keptMine(user))), [user]);
  return [
    mine,
    (said) => {
      const all = { ...mine, ...said };
      keepMine(user, all);
      setMine(all);
      visit.set(said);
    },
  ];
}
