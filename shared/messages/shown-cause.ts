/** Why an entry changed, in the words that everybody may read: in webhooks and in a user's history. */
export const shownCauses = {
  began: 'A session began, or the user became visible again.',
  set: 'A message gave another status, code, text or device.',
  bye: 'It said goodbye, or the user became invisible.',
  closed: 'Its connection ended, and its grace period is over.',
  lapsed: 'Its lease expired without a sign of life.',
  kicked: 'An admin ended it.',
  node_lost: 'Its node of the cluster died.',
  restored: 'A restart restored it.',
} as const;
export type ShownCause = keyof typeof shownCauses;
