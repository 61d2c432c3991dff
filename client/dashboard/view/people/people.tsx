/** The page "Who is online": present users, counts over time, one user's history, and webhooks. */
import { useState } from 'preact/hooks';
import type { Modules } from '../../modules.ts';
import { Counts } from './counts.tsx';
import { OnlineUsers } from './online-users.tsx';
import { UserHistory } from './user-history.tsx';
import { Webhooks } from './webhooks.tsx';

export function People({ modules }: { readonly modules: Modules }) {
  const [user, setUser] = useState('');
  return (
    <div class="people">
      <OnlineUsers modules={modules} onUser={setUser} />
      <div class="beside">
        <Counts modules={modules} />
        <UserHistory modules={modules} user={user} onUser={setUser} />
        <Webhooks modules={modules} />
      </div>
    </div>
  );
}
