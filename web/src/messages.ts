import type { ThreadMessageLike } from "@assistant-ui/react";
import type { Message, QueuedRun, ThreadState } from "carrel-client";

type Part = Exclude<ThreadMessageLike["content"], string>[number];

/** How a message stands, for its caption. */
export interface Standing {
  readonly state?: QueuedRun["state"];
  readonly runId?: string;
  readonly incomplete?: boolean;
}

/** Turns the view of a thread into what assistant-ui shows: tool results go into their calls, queued runs to the end. */
export function toLikes(thread: ThreadState): ThreadMessageLike[] {
  const shown: ThreadMessageLike[] = [];
  const results = new Map<string, string>();
  // Backwards: a result belongs to the nearest call of its id before it.
  for (const message of thread.messages.toReversed()) {
    if (message.role === "tool") results.set(message.toolCallId ?? "", message.content);
    else shown.unshift(toLike(message, results));
    for (const call of message.toolCalls ?? []) results.delete(call.id);
  }
  for (const { runId, state, messages } of thread.queue) {
    for (const message of messages) shown.push(toLike(message, results, { state, runId }));
  }
  return shown;
}

function toLike(message: Message, results: ReadonlyMap<string, string>, standing: Standing = {}): ThreadMessageLike {
  const incomplete = isIncomplete(message);
  return {
    id: message.id, role: message.role === "user" ? "user" : "assistant", content: parts(message, results),
    metadata: { custom: { ...standing, ...(incomplete && { incomplete }) } },
  };
}

function parts(message: Message, results: ReadonlyMap<string, string>): Part[] {
  const found: Part[] = [];
  if (message.content) found.push({ type: message.role === "reasoning" ? "reasoning" : "text", text: message.content });
  for (const { id, function: { name, arguments: argsText } } of message.toolCalls ?? []) {
    const result = results.get(id);
    found.push({ type: "tool-call", toolCallId: id, toolName: name, argsText, ...(result !== undefined && { result }) });
  }
  return found;
}

function isIncomplete(message: Message): boolean {
  const ours = message.metadata?.carrel;
  return typeof ours === "object" && ours !== null && "incomplete" in ours && ours.incomplete === true;
}
