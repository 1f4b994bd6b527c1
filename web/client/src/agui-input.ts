import type { Message as AgentMessage, RunAgentInput } from "@ag-ui/client";
import { toCarrel, toStock } from "./agui-ids.ts";
import type { Message } from "./events.ts";

/** Throws an error that names the first field of an input that Carrel cannot carry, so no field is dropped silently. */
export function refuseUncarried({ tools, context, state, forwardedProps }: RunAgentInput): void {
  const fields: readonly (readonly [name: string, value: unknown])[] = [
    ["tools", tools], ["context", context], ["state", state], ["forwardedProps", forwardedProps],
  ];
  for (const [name, value] of fields) {
    if (!isEmpty(value)) throw new Error(`This agent cannot take \`${name}\` from a page. Leave it empty.`);
  }
}

/**
 * The user's messages at the end of the input that the thread lacks, as messages of the run. `shown` are the ids of the user's
 * messages that the page has received. Throws if the input lacks one of them, or has another text for a message of the thread:
 * a thread only grows, and the model would still read the old message beside an appended edit.
 */
export function newMessages(input: RunAgentInput, runId: string, known: readonly Message[], shown: ReadonlySet<string>): Message[] {
  const given = new Set(input.messages.map(({ id }) => id));
  if ([...shown].some((id) => !given.has(id))) throw new Error(ONLY_GROWS);
  const there = new Map(known.flatMap((message) => [[message.id, message], [toStock(message).id, message]] as const));
  for (const message of input.messages) {
    const before = there.get(message.id);
    if (before?.role === "user" && message.role === "user" && textOf(message) !== before.content) throw new Error(ONLY_GROWS);
  }
  const added: (AgentMessage & { role: "user" })[] = [];
  for (const message of input.messages.toReversed()) {
    if (message.role !== "user" || there.has(message.id)) break;
    added.unshift(message);
  }
  return added.map((message, i) => toCarrel(runId, i + 1, message.id, textOf(message)));
}

const ONLY_GROWS = "This thread only grows: a message cannot be edited or taken away, and an answer cannot be made again. Send a new message.";

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

function textOf({ content }: AgentMessage & { role: "user" }): string {
  if (typeof content === "string") return content;
  return content.map((part) => {
    if (part.type !== "text") throw new Error(`A message of the user may hold text only, not ${part.type}.`);
    return part.text;
  }).join("");
}
