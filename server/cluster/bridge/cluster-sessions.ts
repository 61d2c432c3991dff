/** Explains users and ends sessions for an admin, with the sessions of all nodes. */
import { z } from 'zod';
import { MAX_TRANSITIONS } from '../../../shared/limits.ts';
import { explanation, type Explanation } from '../../../shared/messages/explain.ts';
import { mergeExplanations, type StampedExplanation } from '../../presence/explain/merge-explanations.ts';
import type { Calls } from '../calls.ts';
import type { ClusterNode } from '../node.ts';

export interface ClusterSessionsOptions {
  readonly node: ClusterNode;
  readonly calls: Calls;
  /** Reads the user from the store, so that all nodes see the same entry. */
  readonly refresh: (user: string) => Promise<void>;
  /** Explains with the sessions of this node. */
  readonly explain: (user: string) => Promise<StampedExplanation>;
  /** Ends a session of this node. @returns false if it has none. */
  readonly kick: (user: string, session: string) => boolean;
}

const ASKED_FOR_MS = 2000;
const user = z.string().max(128);
const stampedForm = z.object({ explanation, stamps: z.array(z.number()) });

export class ClusterSessions {
  readonly #options: ClusterSessionsOptions;

  constructor(options: ClusterSessionsOptions) {
    this.#options = options;
    const { calls, explain, kick } = options;
    calls.on('explain', async (payload) => explain(user.parse(payload)));
    calls.on('kick', (payload) => {
      const asked = z.object({ user, session: z.string().max(200) }).parse(payload);
      return kick(asked.user, asked.session);
    });
  }

  async explain(id: string): Promise<Explanation> {
    const { explain, refresh } = this.#options;
    await refresh(id);
    const own = await explain(id);
    const answers = await this.#ask('explain', id);
    const others = [...answers.values()].flatMap((answer) => {
      const read = stampedForm.safeParse(answer);
      return read.success ? [read.data] : [];
    });
    return mergeExplanations(own, others, MAX_TRANSITIONS);
  }

  async kick(id: string, session: string): Promise<boolean> {
    if (this.#options.kick(id, session)) return true;
    const answers = await this.#ask('kick', { user: id, session });
    return [...answers.values()].includes(true);
  }

  #ask(kind: string, payload: unknown): Promise<ReadonlyMap<string, unknown>> {
    const { node, calls } = this.#options;
    const others = node.members.live().filter((inc) => inc !== node.inc);
    return calls.call(others, kind, payload, ASKED_FOR_MS);
  }
}
