import { plainly } from "./asked.ts";

/** Longer texts, in characters, are shown as they are. */
const LONGEST = 200_000;
const MOST_LINES = 3_000;
/** Of one paragraph, list or table: the time to read it grows with the square of these. */
const MOST_MARKS = 400;
const MOST_ROWS = 200;
/** Of quotes and lists within each other. */
const DEEPEST = 12;

/**
 * Whether a text can be read as Markdown in a time and depth that a person does not notice. A model's output may be
 * hostile: ten thousand nested quotes would otherwise end the page. What is inside a code fence does not count.
 */
export function isReadable(text: string): boolean {
  if (text.length > LONGEST) return false;
  const lines = text.split("\n");
  if (lines.length > MOST_LINES) return false;
  let fence = "";
  let rows = 0;
  let marks = 0;
  for (const line of lines) {
    const [, opening = ""] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? [];
    if (fence) {
      if (opening.startsWith(fence) && line.trim() === opening) fence = "";
      continue;
    }
    if (opening) {
      fence = opening;
      continue;
    }
    if (depth(line) > DEEPEST) return false;
    if (line.trim() === "") rows = marks = 0;
    rows += line.includes("|") ? 1 : 0;
    marks += count(line);
    if (rows > MOST_ROWS || marks > MOST_MARKS) return false;
  }
  return true;
}

/** How many quotes and lists a line begins, or stands in. */
function depth(line: string): number {
  const marker = /[ \t]*(?:>|[-*+](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))/y;
  let deep = 0;
  while (deep <= DEEPEST && marker.test(line)) deep++;
  const [indent = ""] = /^[ \t]*/.exec(line) ?? [];
  return Math.max(deep, indent.replaceAll("\t", "    ").length / 4);
}

/** Characters that may open something. */
function count(line: string): number {
  let marks = 0;
  for (const c of line) if ("*_~[]!<&`\\".includes(c)) marks++;
  return marks;
}

/**
 * The address of a link that may be followed; undefined for all that is not plainly an address elsewhere. An address with
 * a user name (https://bank.com@evil.example) is none: it only looks like another one.
 */
export function safeAddress(href: string | undefined): string | undefined {
  if (!href || !/^(?:https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href)) return undefined;
  const { protocol, username, password } = new URL(href);
  return protocol === "mailto:" || (username === "" && password === "") ? href : undefined;
}

/** Where a link leads, to be shown beside its text. */
export interface Destination {
  /** The host as browsers connect to it: names of other scripts are in ASCII (xn--…). Of mail: the receivers. */
  readonly place: string;
  /** The text looks like the address of another place. */
  readonly otherwise: boolean;
}

/** Where a safe address leads; undefined if the link's text is that address, so that a person has read it. */
export function destinationOf(address: string, text: string): Destination | undefined {
  const { protocol, host, pathname } = new URL(address);
  const place = protocol === "mailto:" ? plainly(decoded(pathname)) : host;
  const written = text.trim();
  const bare = address.replace(/^(?:https?:\/\/|mailto:)/i, "");
  if ((written === address || written === bare) && bare.startsWith(place)) return undefined;
  const asAddress = /^[a-z]+:/i.test(written) ? written : `https://${written}`;
  const same = host !== "" && URL.canParse(asAddress) && new URL(asAddress).host === host;
  const seen = written.replace(/\[U\+[0-9A-F]{4,6}\]/g, ""); // what the eye makes of it without the spelled out characters
  return { place, otherwise: !same && /[\p{L}\p{N}-]\p{M}*[.。．｡]\p{L}{2}|:\/\/|@/u.test(seen) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not every % begins an escape
  }
}

interface Node {
  readonly type: string;
  readonly tagName?: string;
  value?: string;
  readonly children?: readonly Node[];
}

/** A rehype plugin: the text of links has no character that a person cannot see or that turns its direction. */
export const plainLinks = () => (tree: Node): void => clean(tree, false);

function clean(node: Node, inLink: boolean): void {
  if (inLink && node.type === "text" && node.value !== undefined) node.value = plainly(node.value);
  for (const child of node.children ?? []) clean(child, inLink || node.tagName === "a");
}

/** The text of an element and all that it holds. */
export function textOf(node: Node | undefined): string {
  return node === undefined ? "" : (node.value ?? "") + (node.children ?? []).map(textOf).join("");
}

/** A block's code without its last line end, which Markdown adds: a shell would run what is pasted at once. */
export function codeOf(shown: string): string {
  return shown.replace(/\n$/, "");
}
