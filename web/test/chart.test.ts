import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { Markdown } from "../src/Markdown.tsx";
import { gridOf, parseChart, scaleOf } from "../src/chart.ts";

const shown = (text: string): string => renderToStaticMarkup(createElement(Markdown, { text }));
const block = (text: string): string => `Before.\n\n\`\`\`chart\n${text}\n\`\`\`\n\nAfter.`;
const drawn = (text: string): boolean => shown(text).includes('<figure class="chart"');

const costs = "bar: Cost by model in USD\nmodel | before | after\ngpt-4.1 | 285.740 | 171.44\ngpt-4.1-mini | 23.69 | +46.55";

it("draws a chart with its values as they were written", () => {
  const html = shown(block(costs));
  expect(html).toContain('<figcaption><bdi>Cost by model in USD</bdi></figcaption>');
  expect(html).toContain("<thead><tr><th scope=\"col\">model</th><th scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead>");
  expect(html).toContain('<tr><th scope="row">gpt-4.1</th><td>285.740</td><td>171.44</td></tr>');
  // The longest bar has the whole width, and the others their part of it: 171.44 / 285.74 = 0.59998… and so on.
  const widths = [...html.matchAll(/<rect [^>]*width="([^"]+)%"/g)].map(([, width]) => Number(width).toFixed(2));
  expect(widths).toEqual(["100.00", "60.00", "8.29", "16.29"]);
  expect(html).not.toContain("<pre");
  expect(html).not.toContain("style=");
});

it("draws a line with a round grid", () => {
  const html = shown(block("line: Cost per day\nday | usd\n2026-09-01 | 10\n2026-09-02 | 20\n2026-09-03 | 0"));
  expect(html).toContain('points="0,50 50,0 100,100"');
  expect([...html.matchAll(/<text class="grid"[^>]*>([^<]*)</g)].map(([, text]) => text)).toEqual(["0", "5", "10", "15", "20"]);
});

it("draws values below zero to the left of zero", () => {
  const html = shown(block("bar: Change\nday | usd\na | -1\nb | 3"));
  expect([...html.matchAll(/<rect [^>]*x="([^"]+)" [^>]*width="([^"]+)"/g)].map(([, x, width]) => [x, width])).toEqual([["0%", "25%"], ["25%", "75%"]]);
});

it("has a scale and a grid for every chart", () => {
  const chart = (value: string) => parseChart(`bar: t\na | b\nx | ${value}`);
  for (const value of ["0", "-0.000001", "0.000001", "999999999999999.999999", "-999999999999999", "7"]) {
    const read = chart(value);
    if (!read) throw new Error(`${value} is refused`);
    const [low, high] = scaleOf(read);
    expect(high).toBeGreaterThan(low);
    const grid = gridOf(low, high);
    expect(grid.length).toBeGreaterThanOrEqual(2);
    expect(grid.length).toBeLessThanOrEqual(7);
    expect(grid).toContain(0);
  }
});

describe("shows the block itself if it is not exactly a chart", () => {
  it.each(Object.entries({
    empty: "", prose: "Here is a chart.", "another kind": costs.replace("bar", "pie"), "no title": costs.replace(": Cost by model in USD", ":"),
    "no heading": "bar: t\nx | 1", "no row": "bar: t\na | b", "one point of a line": "line: t\na | b\nx | 1", "a missing value": `${costs}\nx | 1`,
    "a value too many": `${costs}\nx | 1 | 2 | 3`, "an empty label": `${costs}\n | 1 | 2`, "an empty line": `${costs}\n\nx | 1 | 2`,
    "five series": "bar: t\na | b | c | d | e | f\nx | 1 | 2 | 3 | 4 | 5",
    "an exponent": "bar: t\na | b\nx | 1e999", "a word": "bar: t\na | b\nx | NaN", infinity: "bar: t\na | b\nx | Infinity", "a comma": "bar: t\na | b\nx | 1,5",
    hexadecimal: "bar: t\na | b\nx | 0x10", "a long number": `bar: t\na | b\nx | ${"9".repeat(400)}`, "a formula": "bar: t\na | b\nx | 1+1",
    "a long label": `bar: t\na | b\n${"x".repeat(81)} | 1`, "a long title": `bar: ${"t".repeat(121)}\na | b\nx | 1`,
    "many bars": `bar: t\na | b${"\nx | 1".repeat(31)}`, "many points": `line: t\na | b${"\nx | 1".repeat(401)}`,
    JSON: '{"type": "bar", "data": [1]}', "a prototype": "bar: t\n__proto__ | constructor\ntoString | x",
  }))("%s", (_, text) => {
    const html = shown(block(text));
    expect(html).not.toContain("<figure");
    expect(html).toContain('aria-label="Code"');
    expect(html).toContain("After.");
  });

  it("a block whose end has not come yet", () => {
    const whole = block(costs);
    const end = whole.indexOf("\n```\n\nAfter");
    for (let length = whole.indexOf("```chart"); length <= end + 3; length++) expect(drawn(whole.slice(0, length))).toBe(false);
    expect(drawn(whole.slice(0, end + 4))).toBe(true);
  });

  it("a block with another name", () => {
    for (const name of ["", "charts", "Chart", "json", "chart.js"]) expect(drawn(block(costs).replace("```chart", `\`\`\`${name}`))).toBe(false);
  });
});

it("uses no markup of the text, and spells out characters that hide or turn", () => {
  const html = shown(block('bar: <img src=x onerror=alert(1)>\n<script>1</script> | "onload=x\n\u202egpj.exe | 1\n![a](https://evil.example) | 2\n[b](javascript:1) | 3'));
  expect(html).toContain("<figure");
  expect(html).not.toMatch(/<(img|script|a|image|use|foreignObject|animate)\b/i);
  expect(html).not.toContain("\u202e");
  expect(html).toContain("[U+202E]gpj.exe");
  expect(html).not.toMatch(/ on[a-z]+="/);
});

it("draws charts in lists and quotes", () => {
  expect(drawn(`- one\n  \`\`\`chart\n  bar: t\n  a | b\n  x | 1\n  \`\`\`\n`)).toBe(true);
  expect(drawn("> ~~~chart\n> bar: t\n> a | b\n> x | 1\n> ~~~\n")).toBe(true);
});
