import { expect, it } from "vitest";
import { isBlank } from "../src/chars.ts";

it("finds texts without visible characters, as shared/chars does", () => {
  const blank = ["", " ", "\r\n\t", "\u00a0", "\u3000", "\u2028\u2029", "\u0085", "\u200b", "\ufeff", "\u2060", "\u00ad", "\u200d", "\ufe0f",
    "\u3164", "\u115f", "\u180e", "\u{e0041}", "\u202e", "\0", "\u001b"];
  for (const text of blank) {
    expect(isBlank(` ${text}\n`), JSON.stringify(text)).toBe(true);
    expect(isBlank(`${text}x${text}`), JSON.stringify(text)).toBe(false);
  }
  for (const text of [".", "\u0301", "\u0600", "\ufff9", "\u{13430}", "\ufffd", "🇩", "\u2800", "0"]) expect(isBlank(text), text).toBe(false);
});
