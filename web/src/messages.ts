import type { ThreadMessageLike } from "@assistant-ui/react";
import { earlierTries } from "carrel-client";
import type { CallProgress, Message, MessageRun, QueuedRun, ThreadState } from "carrel-client";

type Part = Exclude<ThreadMessageLike["content"], string>[number];

/** The state of a message, for its caption. */
export interface Standing {
  readonly state?: QueuedRun["state"];
  readonly runId?: string;
  readonly incomplete?: boolean;
  /** The answer was given again. */
  readonly again?: boolean;
  /** A content policy withheld the answer. */
  readonly filtered?: boolean;
  /** The model's answer reached the maximum length. */
  readonly cut?: boolean;
  /** For the last message of an ended run: its start, its agent and its model. */
  readonly run?: MessageRun;
  /** The messages of the agents that its calls asked, and of those that these asked. */
  readonly lines?: readonly Message[];
}

interface Result {
  readonly content: string;
  /** The outcome of a call that did not succeed. */
  readonly outcome?: string;
}

/** The result of a call, or how far the call is. */
type Stage = Result | CallProgress | undefined;

/** The last converted form of a message, with what it was made from. */
interface Made {
  readonly like: ThreadMessageLike;
  readonly stages: readonly Stage[];
  readonly run: MessageRun | undefined;
  readonly again: boolean;
  readonly lines: readonly Message[];
}

/**
 * Converts the view of a thread into assistant-ui's messages: tool results go into their calls, queued runs to the end.
 * Unchanged messages stay the same objects. Otherwise each word of an answer would render the whole conversation again.
 */
export class Likes {
  readonly #made = new WeakMap<Message, Made>();
  readonly #results = new WeakMap<Message, Result>();

  of(thread: ThreadState): ThreadMessageLike[] {
    const shown: ThreadMessageLike[] = [];
    const results = new Map<string, Result>();
    const said = new Set([thread.active]);
    const own = conversation(thread.messages);
    const tries = earlierTries(own);
    // Backwards: a result belongs to the nearest call of its id before it.
    for (const message of own.toReversed()) {
      if (message.role === "tool") results.set(message.toolCallId ?? "", this.#result(message));
      else {
        const run = message.role === "user" ? undefined : thread.runs.get(message.id);
        const lines = own.length === thread.messages.length ? [] : linesOf(message, thread.messages);
        const stages = (message.toolCalls ?? []).map(({ id }): Stage => results.get(id) ?? thread.progress.get(id));
        shown.push(this.#like(message, stages, said.has(run?.runId) ? undefined : run, tries.has(message.id), lines));
        if (run) said.add(run.runId);
      }
      for (const call of message.toolCalls ?? []) results.delete(call.id);
    }
    shown.reverse();
    for (const { runId, state, messages } of thread.queue) {
      for (const message of messages) shown.push(toLike(message, [], { state, runId }));
    }
    return shown;
  }

  #like(message: Message, stages: readonly Stage[], run: MessageRun | undefined, again: boolean, lines: readonly Message[]): ThreadMessageLike {
    const made = this.#made.get(message);
    const same = made && made.lines.length === lines.length && lines.every((one, i) => one === made.lines[i]);
    if (same && made.run === run && made.again === again && made.stages.every((stage, i) => stage === stages[i])) return made.like;
    const like = toLike(message, stages, { ...(run && { run }), ...(again && { again }), ...(lines.length > 0 && { lines }) });
    this.#made.set(message, { like, stages, run, again, lines });
    return like;
  }

  #result(message: Message): Result {
    const result = this.#results.get(message) ?? resultOf(message);
    this.#results.set(message, result);
    return result;
  }
}

function toLike(message: Message, stages: readonly Stage[], standing: Standing = {}): ThreadMessageLike {
  const { incomplete, stop } = ours(message);
  return {
    id: message.id, role: message.role === "user" ? "user" : "assistant", content: parts(message, stages),
    metadata: { custom: { ...standing, ...(incomplete === true && { incomplete }), ...(stop === "max_tokens" && { cut: true }), ...(stop === "filtered" && { filtered: true }) } },
  };
}

function parts(message: Message, stages: readonly Stage[]): Part[] {
  const found: Part[] = [];
  if (message.content) found.push({ type: message.role === "reasoning" ? "reasoning" : "text", text: message.content });
  for (const [i, { id, function: { name, arguments: argsText } }] of (message.toolCalls ?? []).entries()) {
    const stage = stages[i];
    const shown = stage && ("done" in stage ? { artifact: stage } : { result: stage.content, isError: stage.outcome !== undefined, artifact: stage.outcome });
    found.push({ type: "tool-call", toolCallId: id, toolName: name, argsText, ...shown });
  }
  return found;
}

function resultOf(message: Message): Result {
  const { outcome } = ours(message);
  return { content: message.content, ...(typeof outcome === "string" && { outcome }) };
}

/** The messages of the thread's conversation: those of the agents that its agent asked are left out. */
function conversation(messages: readonly Message[]): readonly Message[] {
  return messages.filter(({ subagentRunId }) => !subagentRunId);
}

/** The messages of the lines that began from the message's calls, and from calls in these lines. */
function linesOf(message: Message, messages: readonly Message[]): Message[] {
  const lines = new Set((message.toolCalls ?? []).map(({ id }) => id));
  return messages.filter(({ subagentRunId, toolCalls = [] }) => {
    const inside = subagentRunId !== undefined && lines.has(subagentRunId);
    if (inside) for (const { id } of toolCalls) lines.add(id);
    return inside;
  });
}

/** How the last run of an idle thread failed, as far as its messages show it. */
export function lack({ messages }: ThreadState): "answer" | "rest" | undefined {
  const last = conversation(messages).at(-1);
  if (last?.role === "user") return "answer";
  return last && ours(last).incomplete === true ? "rest" : undefined;
}

/** The user's last text. */
export function lastQuestion({ messages }: ThreadState): string | undefined {
  return messages.findLast((message) => message.role === "user")?.content;
}

/** Carrel's metadata of a message. */
function ours({ metadata }: Message): Readonly<Record<string, unknown>> {
  const all = metadata?.carrel;
  return typeof all === "object" && all !== null ? all as Record<string, unknown> : {};
}
