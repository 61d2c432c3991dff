/** Asks the operator for the token, and shows the reason. */
import { useEffect, useRef } from 'preact/hooks';
import type { Access } from '../hub/access.ts';
import { asCurl, metricsRequest, hubPrefix } from '../hub/request-line.ts';
import { CallLine } from './call-line.tsx';

export function TokenForm({ access, why }: { readonly access: Access; readonly why: string }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.focus();
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? '';
    if (token !== '') access.give(token);
  };
  return (
    <form class="gate card" onSubmit={submit} aria-labelledby="gate-title">
      <h2 id="gate-title">Sign in</h2>
      <p role="alert">{why}</p>
      <label for="token">Admin token</label>
      <div class="row">
        <input
          id="token"
          ref={input}
          type="password"
          required
          autocomplete="off"
          spellcheck={false}
          aria-describedby="gate-note"
        />
        <button class="main">Sign in</button>
      </div>
      <p class="faint" id="gate-note">
        The value of <code>HUB_ADMIN_TOKEN</code>, or a token of your login whose scope includes <code>admin</code>. It
        is kept until this tab is closed.
      </p>
      <CallLine text={asCurl(metricsRequest, location.origin + hubPrefix(), true)} of="read the metrics" />
    </form>
  );
}
