/** A user's avatar, and the mark of a status: each has its own shape and color. Hidden from screen readers. */
import { avatarOf } from '../avatar.ts';
import type { Status } from '../descriptions.ts';

type Shape = Status | 'invisible';

/** A disc, a crescent, a disc with a bar, a ring, a broken ring. */
export function StatusMark({ status }: { readonly status: Shape }) {
  return (
    <svg class={`mark ${status}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <Drawing status={status} />
    </svg>
  );
}

function Drawing({ status }: { readonly status: Shape }) {
  switch (status) {
    case 'online':
      return <circle cx="8" cy="8" r="7" fill="currentColor" />;
    case 'away':
      return <path d="M9.5 1.2A7 7 0 1 0 14.8 9.6 5.6 5.6 0 0 1 9.5 1.2Z" fill="currentColor" />;
    case 'busy':
      return (
        <>
          <circle cx="8" cy="8" r="7" fill="currentColor" />
          <rect class="bar" x="3.8" y="6.7" width="8.4" height="2.6" rx="1.3" />
        </>
      );
    case 'offline':
      return <circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" stroke-width="2.6" />;
    case 'invisible':
      return (
        <circle
          cx="8"
          cy="8"
          r="5.6"
          fill="none"
          stroke="currentColor"
          stroke-width="2.4"
          stroke-dasharray="3.2 2.67"
        />
      );
    default:
      return status satisfies never;
  }
}

interface AvatarProps {
  readonly user: string;
  readonly status: Shape;
}

export function Avatar({ user, status }: AvatarProps) {
  const { initials, hue } = avatarOf(user);
  return (
    <span class="avatar" style={{ '--hue': String(hue) }} aria-hidden="true">
      <span class="initials">{initials}</span>
      <span class="badge">
        <StatusMark status={status} />
      </span>
    </span>
  );
}
