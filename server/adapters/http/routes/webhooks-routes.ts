/** Webhooks over HTTP, for an admin: lists the rules with their queues, sends a test, and replays dead events. */
import { mayAdmin, mayReadAll } from '../../../auth/policy.ts';
import type { Webhooks } from '../../../webhooks/webhooks.ts';
import { json, problem } from '../reply.ts';
import { aboutNobody, route, type Call, type Reply, type Route } from '../route.ts';

export interface WebhooksRoutesOptions {
  /** Null if no setting asks for webhooks. */
  readonly webhooks: Webhooks | null;
}

export function webhooksRoutes({ webhooks }: WebhooksRoutesOptions): Route[] {
  const forAdmin = (method: 'GET' | 'POST', path: string, answer: (webhooks: Webhooks, call: Call) => Reply): Route =>
    route({
      method,
      path,
      about: aboutNobody,
      isAudited: method === 'POST',
      may: method === 'GET' ? mayReadAll : mayAdmin,
      answer: (call) =>
        webhooks === null
          ? problem('turned_off', 'webhooks: there are no rules: set HUB_WEBHOOKS or HUB_WEBHOOK_URL')
          : answer(webhooks, call),
    });
  return [
    forAdmin('GET', '/v1/webhooks', async (hooks) => json(JSON.stringify({ rules: await hooks.states() }))),
    forAdmin('POST', '/v1/webhooks/{rule}/test', async (hooks, { params }) => {
      const outcome = await hooks.test(params['rule'] ?? '');
      if (outcome === undefined) return noRule();
      return json(
        JSON.stringify(
          outcome.kind === 'delivered' ? { delivered: true } : { delivered: false, reason: outcome.reason },
        ),
      );
    }),
    forAdmin('POST', '/v1/webhooks/{rule}/replay', async (hooks, { params }) => {
      const events = await hooks.replay(params['rule'] ?? '');
      return events === undefined ? noRule() : json(JSON.stringify({ events }));
    }),
  ];
}

function noRule(): Reply {
  return problem('not_found', 'rule: there is no such rule: GET /v1/webhooks lists them');
}
