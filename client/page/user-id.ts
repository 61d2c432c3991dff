/** The form of a user id, for input fields and for the address: section 1 of the contract. */

/** In the form of a field's `pattern`. */
export const USER_ID = String.raw`(?!\.{1,2}$)[A-Za-z0-9._@:\-]{1,128}`;
export const USER_ID_FORM = '1 to 128 letters, digits and . _ @ : -';
const whole = new RegExp(`^${USER_ID}$`);

export function isUserId(text: string): boolean {
  return whole.test(text);
}
