/** The live region for screen readers: changes of friends in bulk, and changes of the connection at once. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { News } from '../news.ts';
import type { Visit } from '../visit.ts';
import type { Connection } from '../words.ts';

/** How long changes are collected, and the minimum time between two announcements. */
const GATHER_MS = 1_000;
const APART_MS = 5_000;

interface AnnouncerProps {
  readonly session: Visit;
  readonly connection: Connection;
  readonly words: string;
}

export function Announcer({ session, connection, words }: AnnouncerProps) {
  const line = useNews(session);
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

function useNews(session: Visit): string {
  const [line, setLine] = useState('');
  useEffect(() => {
    const news = new News();
    let toldAt = -Infinity;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tell = (): void => {
      timer = undefined;
      if (news.isEmpty) return;
      toldAt = performance.now();
      setLine(news.tell());
    };
    const off = session.onChange(({ changed, removed }) => {
      news.hear(changed, removed);
      if (news.isEmpty) return;
      timer ??= setTimeout(tell, Math.max(GATHER_MS, toldAt + APART_MS - performance.now()));
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [session]);
  return line;
}
