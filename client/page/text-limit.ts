/**
 * How much text the hub takes, and what becomes of more: it is cut between characters as people see them, though the hub
 * counts UTF-16 units. Knows a field, and no component.
 */

const MAX_UNITS = 140;
const characters = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The text, or its beginning if there is no room for all of it. Halves of emoji are left out: the hub refuses them. */
export function fitting(text: string, room = MAX_UNITS): string {
  let fits = '';
  for (const { segment } of characters.segment(text.replace(/\p{Surrogate}/gu, ''))) {
    if (fits.length + segment.length > room) break;
    fits += segment;
  }
  return fits;
}

/** Takes back as much of what was just put in as has no room. What stands behind the caret stays. */
export function limit(field: HTMLInputElement): string {
  const { value, selectionEnd } = field;
  if (value.length <= MAX_UNITS) return value;
  const caret = selectionEnd ?? value.length;
  const rest = value.slice(caret);
  const head = fitting(value.slice(0, caret), MAX_UNITS - rest.length);
  field.value = fitting(head + rest);
  field.setSelectionRange(head.length, head.length);
  return field.value;
}
