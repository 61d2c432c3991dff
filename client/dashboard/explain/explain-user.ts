/**
 * The user that is being explained: asks the hub for its explanation repeatedly, and at once if the tail shows a change
 * of it. Also ends sessions. Keeps the last explanation while the hub is unreachable. Draws nothing.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { Access } from '../hub/access.ts';
import { detailOf, type Calls } from '../hub/calls.ts';
import { endSessionRequest, explainRequest } from '../hub/request-line.ts';
import { readExplanation, type Explanation, type TailedChange } from '../hub/wire.ts';

const ASK_EVERY_MS = 2000;

export type Explained =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'asking'; readonly user: string }
  /** `aheadMs`: how far the hub's clock is ahead of the page's. */
  | { readonly kind: 'explained'; readonly user: string; readonly explanation: Explanation; readonly aheadMs: number }
  | { readonly kind: 'refused'; readonly user: string; readonly why: string };

export interface ExplainUser {
  readonly state: Signal<Explained>;
  start(): void;
  /** Explains this user from now on; nobody if it is empty. */
  show(user: string): void;
  receive(changes: readonly TailedChange[]): void;
  /** @returns a sentence that describes the result. */
  endSession(user: string, session: string): Promise<{ readonly isEnded: boolean; readonly said: string }>;
}

export function createExplainUser(access: Access, calls: Calls): ExplainUser {
  const state = createSignal<Explained>({ kind: 'nobody' });
  let user = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts the users that were chosen, so that an answer about an earlier one is dropped. */
  let turn = 0;
  /**
   * A request is under way. A user that changes often is not requested again before its answer is shown, but once after
   * it.
   */
  let isAsking = false;
  let isDue = false;

  const ask = async (): Promise<void> => {
    clearTimeout(timer);
    if (user === '' || !access.mayAsk) return;
    isDue = isAsking;
    if (isAsking) return;
    isAsking = true;
    const [asked, mine] = [user, turn];
    const answer = await calls.send(explainRequest(asked));
    if (mine !== turn) return;
    isAsking = false;
    if (answer.kind === 'answered') {
      state.set(answer.status === 200 ? explainedBy(asked, answer.text) : refusedBy(asked, answer.status, answer.text));
    }
    timer = setTimeout(() => void ask(), isDue ? 0 : ASK_EVERY_MS);
  };
  return {
    state,
    start: () => {
      access.state.watch(() => void ask());
      addEventListener('popstate', () => {
        show(userInAddress());
      });
      show(userInAddress());
    },
    show: (wanted) => {
      if (wanted === user) return void ask();
      history.pushState(null, '', wanted === '' ? location.pathname : `?user=${encodeURIComponent(wanted)}`);
      show(wanted);
    },
    receive: (changes) => {
      if (user !== '' && changes.some(({ entry }) => entry.user === user)) void ask();
    },
    endSession: async (of, session) => {
      const answer = await calls.send(endSessionRequest(of, session));
      void ask();
      if (answer.kind !== 'answered')
        return { isEnded: false, said: 'The hub did not answer, so the session may or may not have ended.' };
      if (answer.status === 204) return { isEnded: true, said: `204: session ${session} has ended.` };
      const why = detailOf(answer.text);
      return { isEnded: false, said: `${answer.status}: ${why === '' ? 'the hub gave no reason' : why}` };
    },
  };

  function show(wanted: string): void {
    user = wanted;
    turn += 1;
    isAsking = false;
    state.set(wanted === '' ? { kind: 'nobody' } : { kind: 'asking', user: wanted });
    void ask();
  }
}

function explainedBy(user: string, text: string): Explained {
  const explanation = readExplanation(text);
  if (explanation === undefined) return { kind: 'refused', user, why: 'The hub’s answer can’t be read.' };
  return { kind: 'explained', user, explanation, aheadMs: explanation.at - Date.now() };
}

function refusedBy(user: string, status: number, text: string): Explained {
  const why = detailOf(text);
  return { kind: 'refused', user, why: `${status}: ${why === '' ? 'the hub gave no reason' : why}` };
}

function userInAddress(): string {
  return new URLSearchParams(location.search).get('user') ?? '';
}
