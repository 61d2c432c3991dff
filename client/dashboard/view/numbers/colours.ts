/** The color of each series. An adapter has the same color in every plot. The styles define the colors. */

const OWN: Readonly<Record<string, number>> = {
  'tcp-xml': 1,
  'ws-json': 2,
  http: 3,
  poll: 4,
  p50: 1,
  p99: 2,
  max: 5,
  online: 3,
  away: 2,
  busy: 5,
};
const COLOURS = 6;

/** @returns the name of a custom property. */
export function colourOf(label: string, index: number): string {
  return `--series-${OWN[label] ?? (index % COLOURS) + 1}`;
}

/** Resolves a custom property for a canvas, which does not understand `light-dark(…)`. */
export function resolveColour(host: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
