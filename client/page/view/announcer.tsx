/** The live region for screen readers: changes of friends in bulk, and changes of the connection at once. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Announcements } from '../announcements.ts';
import type { Visit } from '../visit.ts';
import type { Connection } from '../descriptions.ts';

/** How long changes are collected, and the minimum time between two announcements. */
const GATHER_MS = 1_000;
const APART_MS = 5_000;

interface AnnouncerProps {
  readonly visit: Visit;
  readonly connection: Connection;
  readonly words: string;
}

export function Announcer({ visit, connection, words }: AnnouncerProps) {
  const line = useAnnouncements(visit);
  const isFirst = useRef(true);
  const [trouble, setTrouble] = useState('');
  useEffect(() => {
    // The first state is read with the page. Later changes are announced once each, but not the aging of their times.
    if (connection.kind === 'connecting') return;
    if (!isFirst.current) setTrouble(words);
    isFirst.current = false;
  }, [connection.kind]);
  return (
    <div class="hidden-text">
      <p role="status" id="news">
        {line}
      </p>
      <p role="status">{trouble}</p>
    </div>
  );
}

function useAnnouncements(visit: Visit): string {
  const [line, setLine] = useState('');
  useEffect(() => {
    const announcements = new Announcements();
    let announcedAt = -Infinity;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const announce = (): void => {
      timer = undefined;
      if (announcements.isEmpty) return;
      announcedAt = performance.now();
      setLine(announcements.take());
    };
    const off = visit.onChange(({ changed, removed }) => {
      announcements.add(changed, removed);
      if (announcements.isEmpty) return;
      timer ??= setTimeout(announce, Math.max(GATHER_MS, announcedAt + APART_MS - performance.now()));
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [visit]);
  return line;
}
