/** The form of a user id, for what is typed and for the address: the contract's section 1. */

/** As the `pattern` of a field wants it. */
export const USER_ID = String.raw`(?!\.{1,2}$)[A-Za-z0-9._@:\-]{1,128}`;
export const USER_ID_FORM = '1 to 128 letters, digits and . _ @ : -';
const whole = new RegExp(`^${USER_ID}$`);

export function isUserId(text: string): boolean {
  return whole.test(text);
}
