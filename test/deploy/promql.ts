/**
 * What a PromQL expression refers to: metrics, and the labels that it selects or groups by. Reads no more of the language than
 * dashboards and alerts need, and refuses the rest. promtool checks the syntax.
 */

/** The names of a metric are left over once these are taken away. */
const words = new Set([
  ...['sum', 'max', 'min', 'avg', 'count', 'by', 'and', 'or', 'unless'],
  ...['rate', 'increase', 'changes', 'histogram_quantile', 'time'],
]);

export interface References {
  readonly metrics: readonly string[];
  /** Label names with the metrics that must have them; all of the expression for a grouping. */
  readonly labels: readonly { readonly label: string; readonly metrics: readonly string[] }[];
  /** Values that are selected with `=`, by metric and label. */
  readonly values: readonly { readonly metric: string; readonly label: string; readonly value: string }[];
}

const METRIC = /[a-z_:][\w:]*/gi;
const SELECTOR = /([a-z_:][\w:]*)?\{([^}]*)\}/gi;
const MATCHER = /(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;
const GROUPING = /\b(?:by|without|on)\s*\(([^)]*)\)/g;

export function referencesOf(expression: string): References {
  const labels: { label: string; metrics: readonly string[] }[] = [];
  const values: { metric: string; label: string; value: string }[] = [];
  let rest = expression.replaceAll(SELECTOR, (_all, metric: string | undefined, matchers: string) => {
    if (metric === undefined) throw new Error(`a selector without a metric in ${expression}`);
    for (const [, label = '', operator, value = ''] of matchers.matchAll(MATCHER)) {
      labels.push({ label, metrics: [metric] });
      if (operator === '=') values.push({ metric, label, value });
      if (operator === '=~' && /^[\w|]+$/.test(value))
        values.push(...value.split('|').map((one) => ({ metric, label, value: one })));
    }
    return metric;
  });
  const groupings: string[] = [];
  rest = rest.replaceAll(GROUPING, (_all, names: string) => {
    groupings.push(...names.split(',').map((name) => name.trim()));
    return '';
  });
  rest = rest.replaceAll(/\[[^\]]*\]/g, '');
  const metrics = [...new Set(rest.match(METRIC)?.filter((word) => !words.has(word)))];
  for (const label of groupings) labels.push({ label, metrics });
  return { metrics, labels, values };
}
