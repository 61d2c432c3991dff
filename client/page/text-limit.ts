/**
 * Limits text to what the hub accepts: cuts it between characters as people see them, although the hub counts UTF-16
 * units. Knows a field, but no component.
 */

const MAX_UNITS = 140;
const characters = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * Returns the text, or its beginning if not all of it fits. Halves of surrogate pairs are removed, because the hub
 * refuses them.
 */
export function fitting(text: string, room = MAX_UNITS): string {
  let fits = '';
  for (const { segment } of characters.segment(text.replace(/\p{Surrogate}/gu, ''))) {
    if (fits.length + segment.length > room) break;
    fits += segment;
  }
  return fits;
}

/** Removes as much of the latest input as does not fit. Text after the caret stays. */
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
