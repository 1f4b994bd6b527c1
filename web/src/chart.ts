import { plainly } from "./asked.ts";

/** A chart as a model writes it: a fenced block named chart. docs/agents.md describes the form. */
export interface Chart {
  readonly kind: "bar" | "line";
  readonly title: string;
  /** The heading of the labels, and then one for each series. */
  readonly headings: readonly string[];
  readonly rows: readonly Row[];
}

/** One label, and its value in each series. */
export interface Row {
  readonly label: string;
  readonly values: readonly number[];
  /** The values as they were written, so that none is rounded. */
  readonly written: readonly string[];
}

/** The most rows of a chart: a page could draw more, and nobody could read them. */
const MOST_ROWS = { bar: 30, line: 400 };
const MOST_SERIES = 4;
const LONGEST_NAME = 80;
const LONGEST_TITLE = 120;
const NUMBER = /^[+-]?\d{1,15}(?:\.\d{1,6})?$/;

/** Reads a chart. Undefined: the text is not exactly one, and is shown as it is. */
export function parseChart(text: string): Chart | undefined {
  const [head = "", second = "", ...lines] = text.replace(/\n$/, "").split("\n");
  const [, kind, title = ""] = /^(bar|line): (\S.*)$/.exec(head.trimEnd()) ?? [];
  if ((kind !== "bar" && kind !== "line") || title.length > LONGEST_TITLE) return undefined;
  const headings = fields(second);
  if (headings.length < 2 || headings.length > 1 + MOST_SERIES || !headings.every(isName)) return undefined;
  if (lines.length < (kind === "line" ? 2 : 1) || lines.length > MOST_ROWS[kind]) return undefined;
  const rows: Row[] = [];
  for (const line of lines) {
    const [label = "", ...written] = fields(line);
    if (!isName(label) || written.length !== headings.length - 1 || !written.every((one) => NUMBER.test(one))) return undefined;
    rows.push({ label: plainly(label), values: written.map(Number), written });
  }
  return { kind, title: plainly(title), headings: headings.map(plainly), rows };
}

const fields = (line: string): string[] => line.split("|").map((field) => field.trim());
const isName = (text: string): boolean => text !== "" && text.length <= LONGEST_NAME;

/** The lowest and the highest value of a chart's scale. It contains 0, and has a height. */
export function scaleOf({ rows }: Chart): readonly [low: number, high: number] {
  const all = rows.flatMap(({ values }) => values);
  const low = Math.min(0, ...all);
  const high = Math.max(0, ...all);
  return low === high ? [0, 1] : [low, high];
}

/** Three to seven round values from low to high, for the lines of a grid. */
export function gridOf(low: number, high: number): number[] {
  const rough = 0.7 * (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? 10 * power;
  const lines: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) lines.push(Number((n * step).toPrecision(12)));
  return lines;
}

interface Position {
  readonly start: { readonly offset?: number | undefined };
  readonly end: { readonly offset?: number | undefined };
}

interface Node {
  readonly type: string;
  readonly tagName?: string;
  readonly value?: string;
  readonly properties?: { readonly className?: unknown };
  readonly position?: Position;
  data?: unknown;
  readonly children?: readonly Node[];
}

/**
 * A rehype plugin: adds the chart to the data of each block that is one. A block whose end has not come yet is none: its last
 * number may be the beginning of a longer one.
 */
export const charts = () => (tree: Node, file: { readonly value: unknown }): void => mark(tree, String(file.value));

function mark(node: Node, source: string): void {
  const [code] = node.children ?? [];
  if (node.tagName === "pre" && code?.tagName === "code" && isChart(code) && isClosed(node.position, source)) {
    const chart = parseChart((code.children ?? []).map(({ value }) => value ?? "").join(""));
    if (chart) node.data = { chart };
    return;
  }
  for (const child of node.children ?? []) mark(child, source);
}

const isChart = ({ properties }: Node): boolean => Array.isArray(properties?.className) && properties.className.includes("language-chart");

function isClosed(position: Position | undefined, source: string): boolean {
  const block = source.slice(position?.start.offset ?? 0, position?.end.offset ?? 0);
  return /\n[> \t]*(?:`{3,}|~{3,})[ \t]*$/.test(block);
}

/** The chart that the plugin has found in an element. */
export function chartOf(node: { readonly data?: unknown } | undefined): Chart | undefined {
  return (node?.data as { readonly chart?: Chart } | undefined)?.chart;
}
