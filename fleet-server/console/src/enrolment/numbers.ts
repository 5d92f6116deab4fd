// Numbers of lampposts, as somebody types them.

/** What numbers are made of, in the order in which the server sorts them. */
const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const LONGEST = 32;

/** Whether this is a number, or the beginning of one. */
export function isNumber(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,32}$/.test(text);
}

/**
 * `after` of a list that goes on with the first number that begins like this or comes later: right in front of it, there
 * is no other number than perhaps the longest of all. Null: the list begins.
 */
export function justBefore(beginning: string): string | null {
  const head = beginning.slice(0, -1);
  const last = ALPHABET.indexOf(beginning.slice(-1));
  if (last <= 0) return head === "" ? null : head;
  return (head + ALPHABET[last - 1]).padEnd(LONGEST, "z");
}
