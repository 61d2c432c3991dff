/** Types that allow `<presence-friends>` of presence-hub/element in TSX. */
import type { DetailedHTMLProps, HTMLAttributes } from 'react';

export interface PresenceFriendsAttributes extends DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> {
  readonly url?: string;
  readonly user?: string;
  readonly token?: string;
  readonly device?: string;
  readonly observe?: boolean | '';
  readonly label?: string;
}

declare module 'react' {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- required by React's types
  namespace JSX {
    interface IntrinsicElements {
      'presence-friends': PresenceFriendsAttributes;
    }
  }
}
