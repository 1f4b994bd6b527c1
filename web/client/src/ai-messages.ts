import type { AgentEvent, Interrupt, Message } from "./events.ts";
import type { MessageRun } from "./headers.ts";
import { toStock } from "./stock-ids.ts";
import { earlierTries } from "./tries.ts";

/** The parts of the AI SDK's messages that this transport makes. They fit versions 6 and 7. */
export type Part =
  | { type: "step-start" }
  | { type: "text" | "reasoning"; text: string; state: "done"; providerMetadata?: Provided }
  | ToolPart;

/** A tool call. The server runs all tools, so the page needs no definition of any. */
export interface ToolPart {
  type: "dynamic-tool";
  toolName: string;
  /** The run of the call, a slash, and the model's own id of the call, which may repeat in other runs. */
  toolCallId: string;
  state: "input-available" | "approval-requested" | "approval-responded" | "output-available" | "output-error" | "output-denied";
  input: unknown;
  output?: unknown;
  errorText?: string;
  approval?: { id: string; approved?: boolean; reason?: string };
  providerMetadata?: Provided;
}

/** Carrel's metadata of a message, as docs/protocol.md lists it: `incomplete`, `again`, `stop`, and so on. */
export interface Provided {
  readonly [provider: string]: { readonly [name: string]: never };
}

/** A message of the AI SDK. An answer is one message, also if a person was asked in between. */
export interface UIMessage {
  id: string;
  role: "user" | "assistant";
  metadata?: unknown;
  parts: Part[];
}

/** Converts messages of a thread. Earlier tries at an answer are left out. interrupts: the open ones. */
export function toUIMessages(messages: readonly Message[], runs: ReadonlyMap<string, MessageRun>, interrupts: readonly Interrupt[]): UIMessage[] {
  const all: UIMessage[] = [];
  const tries = earlierTries(messages);
  for (const message of messages) {
    // The AI SDK has no place for what a sub-agent did.
    if (tries.has(message.id) || message.subagentRunId) continue;
    if (message.role === "user") {
      const { id, content, metadata } = toStock(message);
      all.push({ id, role: "user", ...(metadata && { metadata }), parts: [{ type: "text", text: content, state: "done" }] });
      continue;
    }
    const run = runs.get(message.id);
    let answer = all.at(-1);
    if (answer?.role !== "assistant") {
      answer = { id: run?.runId ?? message.id, role: "assistant", ...(run && { metadata: { carrel: about(run) } }), parts: [] };
      all.push(answer);
    }
    put(answer.parts, message, run?.runId);
  }
  const last = all.at(-1);
  for (const { id, reason, toolCallId } of interrupts) {
    const call = last && toolCallId !== undefined ? callOf(last.parts, toolCallId) : undefined;
    if (call && reason === "tool_call") Object.assign(call, { state: "approval-requested", approval: { id } });
  }
  return all;
}

/** The last call with the model's id. */
export function callOf(parts: readonly Part[], callId: string): ToolPart | undefined {
  return parts.findLast((part) => part.type === "dynamic-tool" && isOf(part.toolCallId, callId)) as ToolPart | undefined;
}

/** Whether this is the id that a page has for the model's id of a call. */
export function isOf(toolCallId: string, callId: string): boolean {
  return toolCallId.slice(toolCallId.indexOf("/") + 1) === callId;
}

/** The id that a page has for a call. */
export function toolCallIdOf(runId: string | undefined, callId: string): string {
  return runId === undefined ? callId : `${runId}/${callId}`;
}

/** The metadata of an answer. */
export function about({ runId, at, agent, model, usage }: Omit<MessageRun, "seq">): Readonly<Record<string, unknown>> {
  return { runId, ...(at && { at }), ...(agent && { agent }), ...(model && { model }), ...(usage && { usage }) };
}

/** The result of a call. */
export function resultOf({ content = "", metadata }: Pick<AgentEvent, "content" | "metadata">): Pick<ToolPart, "state" | "output" | "errorText"> {
  const carrel = metadata?.carrel as { outcome?: unknown } | undefined;
  if (typeof carrel?.outcome !== "string") return { state: "output-available", output: content };
  return carrel.outcome === "denied" ? { state: "output-denied" } : { state: "output-error", errorText: content };
}

/** The JSON of a call's arguments; the text itself if it is no JSON. */
export function inputOf(text: string): unknown {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return text;
  }
}

/** Carrel's metadata as the AI SDK carries it. */
export function provided({ metadata }: Pick<AgentEvent, "metadata">): { providerMetadata?: Provided } {
  const carrel = metadata?.carrel;
  return typeof carrel === "object" && carrel !== null ? { providerMetadata: { carrel: carrel as Provided[string] } } : {};
}

/** Adds a message of the server to the parts of an answer. A step ends with the results of its calls. */
function put(parts: Part[], message: Message, runId: string | undefined): void {
  if (message.role === "tool") {
    const call = callOf(parts, message.toolCallId ?? "");
    if (call) Object.assign(call, resultOf(message));
    return;
  }
  const before = parts.at(-1);
  if (before === undefined || (before.type === "dynamic-tool" && before.state.startsWith("output"))) parts.push({ type: "step-start" });
  if (message.content) parts.push({ type: message.role === "reasoning" ? "reasoning" : "text", text: message.content, state: "done", ...provided(message) });
  for (const { id, function: { name, arguments: text } } of message.toolCalls ?? []) {
    parts.push({ type: "dynamic-tool", toolName: name, toolCallId: toolCallIdOf(runId, id), state: "input-available", input: inputOf(text) });
  }
}
