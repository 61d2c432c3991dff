/** The webhook rules with their queues, and buttons to send a test and to replay dead events. */
import { useState } from 'preact/hooks';
import { detailOf } from '../../hub/calls.ts';
import { webhookRequest, webhooksRequest } from '../../hub/request-line.ts';
import type { Modules } from '../../modules.ts';
import { useAnswer } from './use-answer.ts';

const EVERY_MS = 5000;

interface Rule {
  readonly name: string;
  readonly url: string;
  readonly queued: number;
  readonly dead: number;
  readonly lastFailure: string | null;
}

export function Webhooks({ modules }: { readonly modules: Modules }) {
  const [turn, setTurn] = useState(0);
  const [said, setSaid] = useState('');
  const asked = useAnswer<{ readonly rules: readonly Rule[] }>(modules, webhooksRequest, EVERY_MS, turn);
  const act = async (rule: string, action: 'test' | 'replay'): Promise<void> => {
    setSaid(`${rule}: sending…`);
    const answer = await modules.calls.send(webhookRequest(rule, action));
    setSaid(
      `${rule}: ${answer.kind === 'answered' ? resultOf(answer.status, answer.text) : 'the hub did not answer.'}`,
    );
    setTurn((before) => before + 1);
  };
  return (
    <section class="webhooks card" aria-labelledby="webhooks-title" id="webhooks">
      <h2 id="webhooks-title">Webhooks</h2>
      {asked.kind === 'answered' ? (
        asked.body.rules.map(({ name, url, queued, dead, lastFailure }) => (
          <div key={name} class="rule" data-rule={name}>
            <h3>{name}</h3>
            <p class="id">{url}</p>
            <p>
              {queued} queued, {dead} dead
              {lastFailure !== null && <span class="bad"> · last failure: {lastFailure}</span>}
            </p>
            <div class="row">
              <button type="button" aria-label={`Send a test to ${name}`} onClick={() => void act(name, 'test')}>
                Send a test
              </button>
              <button
                type="button"
                aria-label={`Replay dead events of ${name}`}
                disabled={dead === 0}
                onClick={() => void act(name, 'replay')}
              >
                Replay dead events
              </button>
            </div>
          </div>
        ))
      ) : (
        <p role="status">{asked.kind === 'asking' ? 'Asking the hub…' : asked.why}</p>
      )}
      <p role="status" class="said">
        {said}
      </p>
    </section>
  );
}

function resultOf(status: number, text: string): string {
  if (status !== 200) return `${status}: ${detailOf(text)}`;
  const body = JSON.parse(text) as { delivered?: boolean; reason?: string; events?: number };
  if (body.events !== undefined) return `${body.events} dead events will be sent again.`;
  return body.delivered === true ? 'the test was delivered.' : `the test was not delivered: ${body.reason ?? ''}`;
}
