/**
 * The default style of the element: it inherits the page's font and colors, and marks each status by color and shape.
 */
export const css = `
:host { display: block; }
:host([hidden]) { display: none; }
p { margin: 0 0 0.5em; color: var(--presence-muted, color-mix(in srgb, currentColor 72%, transparent)); }
p:empty { margin: 0; }
ul { list-style: none; margin: 0; padding: 0; }
li {
  display: grid;
  grid-template-columns: auto 1fr;
  column-gap: 0.6em;
  align-items: center;
  padding: var(--presence-gap, 0.3em) 0;
}
svg { grid-row: 1 / 3; width: var(--presence-mark-size, 0.9em); fill: var(--presence-offline, light-dark(#59636e, #9198a1)); }
[data-status='online'] svg { fill: var(--presence-online, light-dark(#1a7f37, #3fb950)); }
[data-status='busy'] svg { fill: var(--presence-busy, light-dark(#cf222e, #f85149)); }
[data-status='away'] svg { fill: var(--presence-away, light-dark(#9a6700, #d29922)); }
[part='name'] { font-weight: 600; overflow-wrap: anywhere; }
[part='about'] {
  grid-column: 2;
  font-size: 0.875em;
  overflow-wrap: anywhere;
  color: var(--presence-muted, color-mix(in srgb, currentColor 72%, transparent));
}
`;
