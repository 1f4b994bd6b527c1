/** Anything that a reader sees. As in shared/chars. */
const SEEN = /[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}]/u;

/**
 * Whether a reader sees nothing of a text: it has only white space, control characters, and characters that Unicode gives
 * no appearance. The server refuses such a message or title.
 */
export function isBlank(text: string): boolean {
  return !SEEN.test(text);
}
