/** The avatar of a user without a picture: a few letters and a color, both derived from the id. Pure. */

export interface AvatarLook {
  readonly initials: string;
  /** Degrees of the color wheel. */
  readonly hue: number;
}

export function avatarOf(user: string): AvatarLook {
  return { initials: initialsOf(user), hue: hashOf(user) % 360 };
}

/**
 * Returns initials: A2 for `alan.2`, F04 for `friend.1204`, AM for `ana-maria@chat.example`, DE for `demo`. Uses the
 * end of a number, because numbers differ there.
 */
function initialsOf(user: string): string {
  if (/^\d+$/.test(user)) return user.slice(-2);
  const [name = ''] = user.split('@');
  const words = name.split(/[._:-]+/).filter((word) => word !== '');
  const [first = user, second] = words;
  if (second === undefined) return first.slice(0, 2).toUpperCase();
  return `${first.slice(0, 1)}${/^\d+$/.test(second) ? second.slice(-2) : second.slice(0, 1)}`.toUpperCase();
}

/** FNV-1a with a final mix, so that consecutive ids get very different colors. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
