/**
 * The pages of the documentation: which Markdown of the repository is shown where, in the order of the navigation. Must not
 * know how Markdown becomes HTML.
 *
 * `only` takes the sections under these headings, `except` leaves some out. A heading's section ends at the next heading of
 * its level or above.
 */
export const groups = [
  {
    title: 'Begin',
    pages: [
      {
        path: 'quickstart',
        title: 'Quickstart',
        about: 'A hub, a hundred people who come and go, and your first client.',
        file: 'README.md',
        only: ['See it live in a minute', 'For developers', 'How it works'],
      },
      {
        path: 'glossary',
        title: 'Glossary',
        about: 'What heartbeat, lease, grace, fold and the other words mean.',
        file: 'shared/GLOSSARY.md',
      },
    ],
  },
  {
    title: 'Guides',
    pages: [
      {
        path: 'apps',
        title: 'Browsers and Node.js',
        about: 'The client for JavaScript, and the web component.',
        file: 'client/README.md',
        except: ['React'],
      },
      {
        path: 'react',
        title: 'React',
        about: 'A provider and four hooks.',
        file: 'client/README.md',
        only: ['React'],
      },
      {
        path: 'legacy-clients',
        title: 'Legacy clients',
        about: 'TCP + XML: frames, gateways, and a complete client in Java.',
        file: 'shared/LEGACY-CLIENTS.md',
      },
      {
        path: 'tokens',
        title: 'Tokens and TLS',
        about: 'Let other people in: who is who, and who may watch whom.',
        file: 'shared/SECURE-SETUP.md',
      },
      {
        path: 'operating',
        title: 'Operating',
        about: 'Settings, storage, restarts, systemd, engines, who is online.',
        file: 'shared/OPERATING.md',
      },
      {
        path: 'webhooks',
        title: 'Webhooks',
        about: 'Post changes to a server of yours, signed and never lost.',
        file: 'shared/WEBHOOKS.md',
      },
      {
        path: 'proxies',
        title: 'Proxies',
        about: 'nginx, HAProxy and Caddy in front of the hub.',
        file: 'shared/PROXIES.md',
      },
      {
        path: 'cluster',
        title: 'Several hubs',
        about: 'What one process carries, how to split users, and what is not built yet.',
        file: 'shared/CLUSTER.md',
      },
      {
        path: 'sizing',
        title: 'Costs and sizing',
        about: 'What a heartbeat, a change and a session cost.',
        file: 'shared/SIZING.md',
      },
      {
        path: 'security',
        title: 'Security',
        about: 'What the hub trusts, what it protects against, and every limit.',
        file: 'SECURITY.md',
      },
    ],
  },
  {
    title: 'Reference',
    pages: [
      protocol('protocol', 'Protocol', 'Terms and rules.', {
        except: [
          ...['1. Identity and state', '2. Liveness', '3. TCP + XML (legacy), default port 60001'],
          ...['4. WebSocket + JSON, default ws://127.0.0.1:8080/ws', '5. HTTP, same port', '6. Polling (the hub asks)'],
          ...['7. Settings', '8. Cluster (HUB_REDIS_URL)', 'Limits', '9. Webhooks'],
        ],
      }),
      protocol('protocol/state', 'Identity and state', 'Users, sessions, entries and versions.', {
        only: ['1. Identity and state'],
      }),
      protocol('protocol/liveness', 'Liveness', 'Leases, graces, stalls, restarts and mass lapses.', {
        only: ['2. Liveness'],
      }),
      protocol('protocol/tcp-xml', 'TCP + XML', 'Frames, answers, gateways and tokens of legacy clients.', {
        only: ['3. TCP + XML (legacy), default port 60001'],
      }),
      protocol('protocol/websocket', 'WebSocket', 'Every message in both directions, errors and close codes.', {
        only: ['4. WebSocket + JSON, default ws://127.0.0.1:8080/ws'],
      }),
      protocol('routes', 'HTTP routes', 'Every request, its answer, and who may send it.', {
        only: ['5. HTTP, same port'],
        except: ['Metrics'],
      }),
      protocol('protocol/polling', 'Polling', 'Targets that the hub asks.', { only: ['6. Polling (the hub asks)'] }),
      protocol('protocol/cluster', 'Cluster', 'What holds if several hubs are joined over Redis.', {
        only: ['8. Cluster (HUB_REDIS_URL)'],
      }),
      protocol('protocol/webhooks', 'Webhook messages', 'Rules, signatures, retries and order.', {
        only: ['9. Webhooks'],
      }),
      protocol('settings', 'Settings', 'Every setting with its flag, default and form.', { only: ['7. Settings'] }),
      protocol('limits', 'Limits', 'The sizes and times that no setting changes.', { only: ['Limits'] }),
      protocol('metrics', 'Metrics', 'What /metrics counts.', { only: ['Metrics'] }),
      {
        path: 'errors',
        title: 'Errors',
        about: 'Every code with its meaning, the remedy and an example.',
        file: 'shared/ERRORS.md',
        // Each section is a page of its own, below this one.
        isSplit: true,
      },
    ],
  },
];

function protocol(path, title, about, sections) {
  return { path, title, about, file: 'shared/PROTOCOL.md', ...sections };
}
