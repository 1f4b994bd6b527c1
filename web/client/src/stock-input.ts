import { toCarrel, toStock } from "./stock-ids.ts";
import type { Message } from "./events.ts";

/** A message of a stock client. content: its text, or its parts. */
export interface StockMessage {
  readonly id: string;
  readonly role: string;
  readonly content: string | readonly { readonly type: string }[];
}

/** Throws an error that names the first field that is not empty: Carrel cannot carry it, and no field is dropped silently. */
export function refuseFields(fields: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(fields)) {
    if (!isEmpty(value)) throw new Error(`This agent cannot take \`${name}\` from a page. Leave it empty.`);
  }
}

/**
 * The user's messages at the end of the stock client's messages that the thread lacks, as messages of the run. `shown` are the ids
 * of the user's messages that the page has received. Throws if the stock client lacks one of them, or has another text for a message
 * of the thread: a thread only grows, and the model would still read the old message beside an appended edit.
 */
export function newMessages(all: readonly StockMessage[], runId: string, known: readonly Message[], shown: ReadonlySet<string>): Message[] {
  const given = new Set(all.map(({ id }) => id));
  if ([...shown].some((id) => !given.has(id))) throw new Error(ONLY_GROWS);
  const there = new Map(known.flatMap((message) => [[message.id, message], [toStock(message).id, message]] as const));
  for (const message of all) {
    const before = there.get(message.id);
    if (before?.role === "user" && message.role === "user" && textOf(message) !== before.content) throw new Error(ONLY_GROWS);
  }
  const added: StockMessage[] = [];
  for (const message of all.toReversed()) {
    if (message.role !== "user" || there.has(message.id)) break;
    added.unshift(message);
  }
  return added.map((message, i) => toCarrel(runId, i + 1, message.id, textOf(message)));
}

export const ONLY_GROWS = "This thread only grows: a message cannot be edited or taken away, and an answer cannot be made again. Send a new message.";
export const NOTHING_NEW = "There is no new message of the user to send, and no answer.";

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

function textOf({ content }: StockMessage): string {
  if (typeof content === "string") return content;
  return content.map((part) => {
    const text = part.type === "text" ? "text" in part ? part.text : "content" in part ? part.content : undefined : undefined;
    if (typeof text !== "string") throw new Error(`A message of the user may hold text only, not ${part.type}.`);
    return text;
  }).join("");
}
