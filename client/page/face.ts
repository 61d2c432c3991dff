/** What stands for a user without a picture: a few letters and a colour, both out of the id alone. Pure. */

export interface Face {
  readonly initials: string;
  /** Degrees of the colour circle. */
  readonly hue: number;
}

export function faceOf(user: string): Face {
  return { initials: initialsOf(user), hue: hashOf(user) % 360 };
}

/** `alan.2` is A2, `friend.1204` F04, `ana-maria@chat.example` AM, `demo` DE; of a number the end, in which numbers differ. */
function initialsOf(user: string): string {
  if (/^\d+$/.test(user)) return user.slice(-2);
  const [name = ''] = user.split('@');
  const words = name.split(/[._:-]+/).filter((word) => word !== '');
  const [first = user, second] = words;
  if (second === undefined) return first.slice(0, 2).toUpperCase();
  return `${first.slice(0, 1)}${/^\d+$/.test(second) ? second.slice(-2) : second.slice(0, 1)}`.toUpperCase();
}

/** FNV-1a, with its bits mixed once more: ids that follow each other get colours far apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
