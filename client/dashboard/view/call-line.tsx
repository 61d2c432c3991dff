/** The request of a button, as a line to copy into a terminal. */
import { useEffect, useRef, useState } from 'preact/hooks';

const SAID_FOR_MS = 1500;

interface CallLineProps {
  readonly text: string;
  /** What the request does, for the label of the copy button in screen readers. */
  readonly of: string;
}

export function CallLine({ text, of }: CallLineProps) {
  const code = useRef<HTMLElement>(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (said === '') return undefined;
    const timer = setTimeout(() => {
      setSaid('');
    }, SAID_FOR_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [said]);
  const copy = (): void => {
    void copyText(text, code.current).then(setSaid);
  };
  return (
    <span class="call">
      <code ref={code} title={text}>
        {text}
      </code>
      <button type="button" class="quiet" aria-label={`Copy the call: ${of}`} onClick={copy}>
        {said === '' ? 'copy' : said}
      </button>
      <span class="unseen" role="status">
        {said}
      </span>
    </span>
  );
}

/** Copies the text. The clipboard requires TLS or localhost; elsewhere the line is selected, for Ctrl-C. */
async function copyText(text: string, element: HTMLElement | null): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'copied';
  } catch {
    if (element !== null) getSelection()?.selectAllChildren(element);
    return 'selected';
  }
}
