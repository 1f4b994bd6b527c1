import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { Markdown } from "../src/Markdown.tsx";
import { codeOf, isReadable, safeAddress } from "../src/markdown.ts";

const shown = (text: string): string => renderToStaticMarkup(createElement(Markdown, { text }));

describe("hostile shapes", () => {
  const n = 10_000;
  const shapes = {
    quotes: ">".repeat(n), lists: "- ".repeat(n), numbered: "1. ".repeat(n), indented: Array.from({ length: 99 }, (_, i) => `${"  ".repeat(i)}- x`).join("\n"),
    brackets: "[".repeat(n) + "]".repeat(n), links: "[a](".repeat(n), images: "![".repeat(n), emphasis: "*a _b ".repeat(n), stars: "*".repeat(n) + "a" + "*".repeat(n),
    table: `a|b\n-|-\n${"x|y\n".repeat(n)}`, wide: `${"|".repeat(n)}\n${"|-".repeat(n)}\n`, strikes: "~~a ".repeat(n), ticks: Array.from({ length: 400 }, (_, i) => "`".repeat(i)).join("a"),
    footnotes: "[^a]: ".repeat(n), tags: "<a ".repeat(n), entities: "&".repeat(n), addresses: "a@".repeat(n), sites: "www.".repeat(n),
    paragraphs: "a *b* `c`\n\n".repeat(1900), lines: "a\n".repeat(n), escapes: "\\[".repeat(n), rules: "---\n".repeat(1900), items: "- a\n".repeat(1900),
  };
  it.each(Object.entries(shapes))("%s", (_, shape) => {
    expect(shown(`${shape}\nand after`)).toContain("and after");
  }, 30_000); // a hundred times the expected duration; quadratic parsing takes longer
});

it("reads what people and models write", () => {
  expect(isReadable("# A\n\n- one\n  - two\n    - three\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n1.5 and -3")).toBe(true);
  expect(isReadable(`\`\`\`c\n${"        a[i] = *b & ~c;\n".repeat(1000)}\`\`\`\nend`)).toBe(true);
  expect(isReadable(`|${"-".repeat(500)}|`)).toBe(true);
});

it("follows links to other places only", () => {
  for (const good of ["https://example.com/a?b#c", "http://example.com", "HTTPS://EXAMPLE.COM", "mailto:a@example.com"]) expect(safeAddress(good)).toBe(good);
  for (const bad of ["javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "//example.com", "/path", "#/t/x", "java\nscript:x", "https://", "", undefined, "https://bank.com@evil.example/", "https://a:b@evil.example", "https://@bank.com@evil.example", "http://bank.com%2F@evil.example"]) {
    expect(safeAddress(bad)).toBeUndefined();
  }
});

/** The text of the first link, as a person reads it. */
const read = (text: string): string => (/<a [^>]*>(.*?)<\/a>/.exec(shown(text))?.[1] ?? "no link").replaceAll(/<[^>]*>/g, "");

describe("shows where a link leads", () => {
  it.each([
    ["[the invoice](https://evil.example/invoice)", "the invoice (evil.example)"],
    ["[a **bold** `name`](https://example.com:8443/x)", "a bold name (example.com:8443)"],
    ["[https://bank.com](https://evil.example)", "https://bank.com (leads to evil.example)"],
    ["[bank.com/login](https://evil.example)", "bank.com/login (leads to evil.example)"],
    ["[https://bank.com.evil.example](https://evil.example)", "https://bank.com.evil.example (leads to evil.example)"],
    ["[support@bank.com](mailto:thief@evil.example)", "support@bank.com (leads to thief@evil.example)"],
    ["[write to us](mailto:thief%40evil.example?subject=x)", "write to us (thief@evil.example)"],
    ["<https://example.com/a>", "https://example.com/a"],
    ["https://example.com/a?b=c", "https://example.com/a?b=c"],
    ["www.example.com", "www.example.com"],
    ["mail@example.net", "mail@example.net"],
    // Cyrillic letters that look like Latin ones.
    ["<https://аррӏе.com>", "https://аррӏе.com (xn--80ak6aa92e.com)"],
    ["[example.com/docs](https://example.com/docs/v2)", "example.com/docs (example.com)"],
    ["[Apple](https://аррӏе.com)", "Apple (xn--80ak6aa92e.com)"],
    ["[x](https://example.com\u3002evil.example)", "x (example.com.evil.example)"],
    ["[x](https://EVIL.example)", "x (evil.example)"],
    ["[moc.knab\u202e](https://evil.example)", "moc.knab[U+202E] (leads to evil.example)"],
    ["[bank\u200b.com](https://evil.example)", "bank[U+200B].com (leads to evil.example)"],
    ["![a chart](https://evil.example/pixel.png?who=alice)", "Image: a chart (evil.example)"],
    ["[![https://bank.com](https://evil.example/1.png)](https://bank.com)", "Image: https://bank.com (leads to evil.example)"],
  ])("%s", (text, want) => expect(read(text)).toBe(want));

  it("does not lead to an address with a user name", () => {
    for (const text of ["[x](https://bank.com@evil.example)", "<https://bank.com@evil.example>", "![x](https://bank.com:1@evil.example/a.png)"]) {
      expect(shown(text)).not.toContain("href");
    }
  });

  it("isolates text that changes direction", () => {
    expect(shown("[א](https://evil.example)")).toContain('<bdi>א</bdi> <span class="place">(<bdi dir="ltr">evil.example</bdi>)</span>');
  });
});

it("shows a model's HTML as text", () => {
  const html = shown("Look: <img src=x onerror=alert(1)> <b>bold</b> &lt;i&gt;\n\n<script>alert(1)</script>");
  expect(html).not.toMatch(/<(img|b|script|i)\b/);
  expect(html).toContain("&lt;img src=x onerror=alert(1)&gt;");
});

it("copies a block of code without the line end that Markdown adds", () => {
  expect(codeOf("rm -rf ./build\n")).toBe("rm -rf ./build");
  expect(codeOf("one\n\ntwo\n\n")).toBe("one\n\ntwo\n");
  expect(codeOf("inline")).toBe("inline");
});
