/** Asks for confirmation before a session is ended, explains the effect, and shows the request. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { describeEnd } from '../../explain/explain-view.ts';
import { asCurl, endSessionRequest, hubPrefix } from '../../hub/request-line.ts';
import type { ExplainedSession } from '../../hub/wire.ts';
import type { Modules } from '../../modules.ts';
import { CallLine } from '../call-line.tsx';
import { IsolatedText } from '../isolated-text.tsx';

interface EndDialogProps {
  readonly user: string;
  readonly session: ExplainedSession;
  readonly modules: Modules;
  /** Receives a description of the result; empty if nothing was done. */
  readonly onDone: (said: string) => void;
}

export function EndDialog({ user, session: { id, device, adapter }, modules, onDone }: EndDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isAsking, setAsking] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const end = async (): Promise<void> => {
    setAsking(true);
    onDone((await modules.explain.endSession(user, id)).said);
  };
  const hasToken = modules.access.token !== undefined;
  return (
    <dialog
      ref={dialog}
      aria-labelledby="end-title"
      onClose={() => {
        if (!isAsking) onDone('');
      }}
    >
      <h2 id="end-title">
        End this session of <span class="id">{user}</span>?
      </h2>
      <p>
        <b>
          <IsolatedText>{device}</IsolatedText>
        </b>{' '}
        over {adapter}, <span class="id">{id}</span>. Takes effect at once. {describeEnd(adapter)} The user’s other
        sessions continue.
      </p>
      <CallLine
        text={asCurl(endSessionRequest(user, id), location.origin + hubPrefix(), hasToken)}
        of="end the session"
      />
      <div class="row end">
        <button type="button" disabled={isAsking} onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="main danger" disabled={isAsking} onClick={() => void end()}>
          {isAsking ? 'Ending…' : 'End session'}
        </button>
      </div>
    </dialog>
  );
}
