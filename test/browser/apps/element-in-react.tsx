/** `<presence-friends>` in TSX: this file need only compile. */
import '../../../client/element/index.ts';
import type {} from '../../../client/react/index.ts';

export function Friends() {
  return <presence-friends user="42" url="http://127.0.0.1:8080" label="Friends" observe className="friends" />;
}

export function Wrong() {
  // @ts-expect-error -- it has no such attribute
  return <presence-friends usr="42" />;
}
