/** The form for the user id, and for the token if the hub requires one. */
import { useState } from 'preact/hooks';
import type { Who } from '../visit.ts';
import { giveToken } from '../token.ts';
import { isUserId, USER_ID, USER_ID_FORM } from '../user-id.ts';

export function Welcome({ onPick }: { readonly onPick: (who: Who) => void }) {
  const [user, setUser] = useState('');
  const [isObserver, setObserver] = useState(false);
  return (
    <main class="welcome">
      <section class="card">
        <Logo />
        <h1>Which of your friends are online?</h1>
        <p class="quiet">Enter your user id to see them come and go live.</p>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (isUserId(user.trim())) onPick({ user: user.trim(), isObserver });
          }}
        >
          <label for="user">User</label>
          <div class="field">
            <input
              id="user"
              value={user}
              placeholder="42"
              required
              maxLength={128}
              pattern={` *${USER_ID} *`}
              title={USER_ID_FORM}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              onInput={({ currentTarget }) => setUser(currentTarget.value)}
            />
            <button class="primary">Show friends</button>
          </div>
          <label class="check">
            <input
              type="checkbox"
              checked={isObserver}
              onChange={({ currentTarget }) => setObserver(currentTarget.checked)}
            />
            Just watch (don’t show me as online)
          </label>
        </form>
      </section>
    </main>
  );
}

export function TokenForm() {
  const [token, setToken] = useState('');
  return (
    <form
      class="token"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.trim() === '') return;
        giveToken(token.trim());
        setToken('');
      }}
    >
      <label for="token">Token</label>
      <div class="field">
        <input
          id="token"
          type="password"
          value={token}
          required
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
        <button class="primary">Use token</button>
      </div>
    </form>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" class="ground" />
      <circle cx="14" cy="15" r="7" class="face" />
      <circle cx="22" cy="22" r="5.6" class="ground" />
      <circle cx="22" cy="22" r="4" class="dot" />
    </svg>
  );
}
