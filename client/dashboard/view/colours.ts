/** Which colour a series has: the same adapter is the same colour in every plot. The colours themselves are the styles'. */

const OWN: Readonly<Record<string, number>> = {
  'tcp-xml': 1,
  'ws-json': 2,
  http: 3,
  poll: 4,
  p50: 1,
  p99: 2,
  max: 5,
};
const COLOURS = 6;

/** @returns the name of a custom property. */
export function colourOf(label: string, index: number): string {
  return `--series-${OWN[label] ?? (index % COLOURS) + 1}`;
}

/** As a canvas wants it: a custom property may say `light-dark(…)`, which a canvas does not know. */
export function resolveColour(host: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
