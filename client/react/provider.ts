/** Provides one client to all hooks below it. */
import { createContext, createElement, useContext, useEffect, useMemo, type ReactNode } from 'react';
import type { PresenceClient, PresenceClientOptions } from '../sdk/index.ts';
import { givenSource, MountedSource, type ClientSource } from './client-source.ts';

export type PresenceProviderProps = { readonly children?: ReactNode } & (
  | {
      /**
       * Connects while the provider is mounted. A change of `url`, `user`, `device` or `tabs` starts a new connection.
       * If `user` is present but undefined, as before a login, there is no connection. Without `user`, the client is an
       * observer.
       */
      readonly options: PresenceClientOptions;
      readonly client?: never;
    }
  | {
      /** A client of the app. The provider neither connects nor closes it. */
      readonly client: PresenceClient;
      readonly options?: never;
    }
);

const Context = createContext<ClientSource | null>(null);

export function PresenceProvider({ client, options, children }: PresenceProviderProps): ReactNode {
  // Checked at run time, because not every app uses types.
  if ((client ?? (options as unknown)) === undefined)
    throw new Error('presence-hub/react: <PresenceProvider> needs options, or a client');
  const key = options === undefined ? undefined : keyOf(options);
  const source = useMemo(
    () => (client === undefined ? new MountedSource(options) : givenSource(client)),
    // The other options are read when they are needed.
    [client, key],
  );
  useEffect(() => {
    if (source instanceof MountedSource && options !== undefined) source.options = options;
  });
  useEffect(() => (source instanceof MountedSource ? source.mount() : undefined), [source]);
  return createElement(Context.Provider, { value: source }, children);
}

export function useClientSource(): ClientSource {
  const source = useContext(Context);
  if (source === null) throw new Error('presence-hub/react: there is no <PresenceProvider> around this component');
  return source;
}

/** Returns a key of the options that require another connection when they change. */
function keyOf(options: PresenceClientOptions): string {
  const { url, user, device, tabs, getToken } = options;
  const isObserver = !('user' in options);
  return JSON.stringify([
    url === undefined ? null : String(url),
    user,
    isObserver,
    device,
    tabs,
    getToken !== undefined,
  ]);
}
