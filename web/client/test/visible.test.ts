import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { textKey, visibleLine, visibleText } from "../src/visible.ts";

interface Data {
  readonly hidden: string;
  readonly cases: readonly { readonly name: string; readonly text: string; readonly visible: string; readonly line?: string }[];
}

const data = JSON.parse(readFileSync(new URL("../../../shared/visible/testdata/cases.json", import.meta.url), "utf8")) as Data;

test.each(data.cases)("$name", ({ text, visible, line = visible }) => {
  expect(visibleText(text)).toBe(visible);
  expect(visibleLine(text)).toBe(line);
});

test("each character between two letters: spells out the shared list and all that Unicode calls invisible", () => {
  const hidden = new Set<number>();
  for (const span of data.hidden.split(" ")) {
    const [first, last = first] = span.split("-").map((end) => parseInt(end, 16));
    for (let code = first!; code <= last!; code++) hidden.add(code);
  }
  const unseen = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Zl}\p{Zp}]/u;
  const wrong: string[] = [];
  let plain = "";
  for (let code = 0; code <= 0xe2000; code++) { // the Go test covers all; here two planes and the one with invisible characters suffice
    if (code === 0x20000) code = 0xdf000;
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const char = String.fromCodePoint(code);
    if (!hidden.has(code)) {
      plain += `a${char}`;
      if (unseen.test(char) && char !== "\n" && char !== "\t") wrong.push(code.toString(16));
    } else if (visibleText(`a${char}b`) === `a${char}b`) wrong.push(code.toString(16));
  }
  expect(visibleText(plain) === plain).toBe(true);
  expect(wrong).toEqual([]);
}, 30_000);

test("half of a surrogate pair is spelled out", () => {
  expect(visibleText("a\ud83db")).toBe("a[U+D83D]b");
});

test.each([
  ["Zoë", "Zoe\u0308", true], ["Å", "\u212b", true], ["Bob", "Bob\u200b", true], [" a  b\u00a0c ", "a b c", true], ["❤️", "❤\ufe0f\ufe0f", true],
  ["", " \u200b", true], ["Zoë", "Zoe", false], ["bob", "Bob", false], ["می‌خواهم", "میخواهم", false],
])("%s and %s look equal: %s", (a, b, same) => {
  expect(textKey(a) === textKey(b)).toBe(same);
});
