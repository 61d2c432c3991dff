/** The friend page: reads the user from the address or asks for it, then shows that user's home. */
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { Home } from './view/home.tsx';
import type { Who } from './visit.ts';
import { applyKeptTheme } from '../ui/theme.ts';
import { isUserId } from './user-id.ts';
import { Welcome } from './view/welcome.tsx';

function Page() {
  const [who, setWho] = useState(whoOfAddress);
  const pick = (picked: Who | undefined): void => {
    history.replaceState(null, '', picked === undefined ? location.pathname : addressOf(picked));
    setWho(picked);
  };
  if (who === undefined) return <Welcome onPick={pick} />;
  return <Home key={`${who.user} ${who.isObserver}`} who={who} onSwitch={pick} />;
}

/** Reads `?user=42`, and `&watch` if that user's friends are only watched. */
function whoOfAddress(): Who | undefined {
  const asked = new URLSearchParams(location.search);
  const user = asked.get('user')?.trim() ?? '';
  return !isUserId(user) ? undefined : { user, isObserver: asked.has('watch') };
}

function addressOf({ user, isObserver }: Who): string {
  return `?user=${encodeURIComponent(user)}${isObserver ? '&watch' : ''}`;
}

applyKeptTheme();
render(<Page />, document.body);
