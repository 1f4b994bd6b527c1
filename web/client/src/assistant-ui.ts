import { useExternalStoreRuntime } from "@assistant-ui/react";
import type { AppendMessage, AssistantRuntime, ThreadMessageLike } from "@assistant-ui/react";
import { useMemo, useState } from "react";
import type { CarrelClient } from "./client.ts";
import type { RunOptions } from "./contract.ts";
import type { Interrupt, Message, Resume } from "./events.ts";
import { approve, refuse } from "./interrupts.ts";
import { useCarrel, useThreads } from "./react.ts";
import type { ThreadInfo } from "./server-frames.ts";
import type { ThreadState } from "./state.ts";
import { ONLY_GROWS } from "./stock-input.ts";
import { earlierTries } from "./tries.ts";

type Part = Exclude<ThreadMessageLike["content"], string>[number];

export interface CarrelRuntimeOptions {
  /** The server's agent, and the policy for a message to a busy thread. */
  readonly run?: RunOptions;
  /** Called when something that the person did has failed, with the reason. */
  readonly onError?: (error: Error) => void;
}

/**
 * An assistant-ui runtime over the client's open thread, with the user's threads as its thread list. It shows what the client
 * shows, so runs of other devices appear too. Messages can be sent at any time: the server queues them.
 */
export function useCarrelRuntime(client: CarrelClient, { run, onError = () => {} }: CarrelRuntimeOptions = {}): AssistantRuntime {
  const { thread } = useCarrel(client);
  const { threads } = useThreads(client);
  const [likes] = useState(() => new Likes());
  const [answers] = useState(() => new Map<string, Resume>());
  const messages = useMemo(() => (thread ? likes.of(thread) : []), [likes, thread]);
  const tried = (what: () => unknown): void => {
    // A refusal is among the client's notices too.
    new Promise((resolve) => resolve(what())).catch((error: unknown) => onError(error instanceof Error ? error : new Error(String(error))));
  };
  const append = (message: AppendMessage): void => tried(() => client.settled(send(client, thread, textOf(message), run)));
  const answer = (answered: Resume): void => tried(() => {
    const open = client.state.thread?.interrupts ?? [];
    answers.set(answered.interruptId, answered);
    const all = open.flatMap(({ id }) => answers.get(id) ?? []);
    // One run must respond to all questions.
    if (all.length < open.length || !thread) return undefined;
    answers.clear();
    return client.settled(client.respond(thread.threadId, all));
  });
  const refused = async (): Promise<void> => onError(new Error(ONLY_GROWS));
  return useExternalStoreRuntime<ThreadMessageLike>({
    messages, convertMessage: (message) => message,
    isLoading: thread !== undefined && !thread.loaded,
    // With runs queued, assistant-ui would show its empty answer below them.
    isRunning: thread?.active !== undefined && !thread.queue.some(({ state }) => state !== "starting"),
    onNew: async (message) => append(message),
    onEdit: refused, onReload: refused,
    onCancel: async () => { if (thread?.active) tried(() => client.cancel(thread.active!)); },
    onRespondToToolApproval: ({ approvalId, approved, reason }) => {
      if (reason) return onError(new Error("This agent cannot take a `reason` with an approval. Send a message instead."));
      return answer((approved ? approve : refuse)({ id: approvalId, reason: "tool_call" }));
    },
    onAddToolResult: ({ toolCallId, result }) => {
      const asked = thread?.interrupts.find((one) => one.toolCallId === toolCallId);
      if (asked) answer({ interruptId: asked.id, status: "resolved", payload: result });
    },
    // The server queues: a message may be sent at any time.
    queue: { items: [], steerItems: [], enqueue: append, steer: append, move: () => {}, edit: () => {}, remove: () => {} },
    adapters: {
      threadList: {
        threads: rows(threads, thread),
        ...(thread && { threadId: thread.threadId }),
        onSwitchToThread: (threadId) => client.open(threadId),
        onSwitchToNewThread: () => void client.newThread(),
        onRename: async (threadId, title) => tried(() => client.rename(threadId, title)),
        onDelete: async (threadId) => tried(() => client.delete(threadId)),
      },
    },
  });
}

/** The rows of the list, with the open thread. Without its row, assistant-ui would begin it again when the row comes. */
function rows(threads: readonly ThreadInfo[], open: ThreadState | undefined): { status: "regular"; id: string; title: string }[] {
  const all = threads.filter(({ archived, threadId }) => !archived || threadId === open?.threadId).map(({ threadId: id, title }) => ({ status: "regular" as const, id, title }));
  return open === undefined || all.some(({ id }) => id === open.threadId) ? all : [{ status: "regular", id: open.threadId, title: "New thread" }, ...all];
}

/** Sends a message. While questions are open it refuses them and continues, as on Carrel's page. */
function send(client: CarrelClient, thread: ThreadState | undefined, text: string, run: RunOptions | undefined): string {
  if (!thread || thread.interrupts.length === 0) return client.send(text, run);
  return client.respond(thread.threadId, thread.interrupts.map(refuse), text);
}

function textOf({ content, attachments = [] }: AppendMessage): string {
  if (attachments.length > 0) throw new Error("A message of the user may hold text only, not attachments.");
  return content.map((part) => {
    if (part.type !== "text") throw new Error(`A message of the user may hold text only, not ${part.type}.`);
    return part.text;
  }).join("");
}

/** The last converted form of a message, with what it was made from. */
interface Made {
  readonly like: ThreadMessageLike;
  readonly from: readonly unknown[];
}

/** Converts messages. Unchanged messages stay the same objects; otherwise each word would render the whole conversation again. */
class Likes {
  readonly #made = new WeakMap<Message, Made>();

  of({ messages: all, interrupts, queue }: ThreadState): ThreadMessageLike[] {
    // assistant-ui would show the messages of sub-agents as the thread's own.
    const messages = all.filter(({ subagentRunId }) => !subagentRunId);
    const tries = earlierTries(messages);
    const results = new Map<string, Message>();
    const asked = new Map(interrupts.map((one) => [one.toolCallId, one]));
    const shown: ThreadMessageLike[] = [];
    // Backwards: a result belongs to the nearest call of its id before it.
    for (const message of messages.toReversed()) {
      if (message.role === "tool") results.set(message.toolCallId ?? "", message);
      else if (!tries.has(message.id)) shown.push(this.#like(message, results, asked));
      for (const { id } of message.toolCalls ?? []) {
        results.delete(id);
        asked.delete(id);
      }
    }
    shown.reverse();
    return [...shown, ...queue.flatMap((run) => run.messages.map((message) => this.#like(message, results, asked)))];
  }

  #like(message: Message, results: ReadonlyMap<string, Message>, asked: ReadonlyMap<string | undefined, Interrupt>): ThreadMessageLike {
    const from = (message.toolCalls ?? []).flatMap(({ id }) => [results.get(id), asked.get(id)]);
    const made = this.#made.get(message);
    if (made && made.from.every((one, i) => one === from[i])) return made.like;
    const { id, role } = message;
    const like: ThreadMessageLike = { id, role: role === "user" ? "user" : "assistant", content: parts(message, results, asked), metadata: { custom: { ...message.metadata } } };
    this.#made.set(message, { like, from });
    return like;
  }
}

function parts({ role, content, toolCalls = [] }: Message, results: ReadonlyMap<string, Message>, asked: ReadonlyMap<string | undefined, Interrupt>): Part[] {
  const all: Part[] = content === "" ? [] : [{ type: role === "reasoning" ? "reasoning" : "text", text: content }];
  for (const { id, function: { name, arguments: argsText } } of toolCalls) {
    const result = results.get(id);
    const question = asked.get(id);
    const outcome = (result?.metadata?.carrel as { outcome?: unknown } | undefined)?.outcome;
    all.push({
      type: "tool-call", toolCallId: id, toolName: name, argsText,
      ...(result && { result: result.content, isError: outcome !== undefined }),
      ...(question?.reason === "tool_call" && { approval: { id: question.id } }),
    });
  }
  return all;
}
