/**
 * The package's entry for pages without a framework: `presence-hub/element`. Importing it defines `<presence-friends>`
 * if custom elements are available; elsewhere, as on a server, it does nothing.
 */
import { PresenceFriends } from './presence-friends.ts';

export { PresenceFriends };

declare global {
  interface HTMLElementTagNameMap {
    'presence-friends': PresenceFriends;
  }
}

// Two bundles of one page may both include the element. The first definition stays.
if (typeof customElements !== 'undefined' && customElements.get('presence-friends') === undefined) {
  customElements.define('presence-friends', PresenceFriends);
}
