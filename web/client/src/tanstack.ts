import { canonicalInterruptJson, digestInterruptJson } from "@tanstack/ai/client";
import type { CarrelClient } from "./client.ts";
import type { RunOptions } from "./contract.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "./events.ts";
import { isLast, loaded, LOST } from "./follow.ts";
import { timedId } from "./ids.ts";
import { askedBy, refuse } from "./interrupts.ts";
import { Pushed } from "./pushed.ts";
import { restate, snapshot } from "./restate.ts";
import type { MessagesSnapshot } from "./restate.ts";
import { newMessages, NOTHING_NEW, refuseFields } from "./stock-input.ts";

export interface CarrelConnectionOptions {
  /** A connected client. The connection opens its thread on it, so each chat on a page needs a client of its own. */
  readonly client: CarrelClient;
  /** The thread. Pass the same value to `useChat` as `threadId`. */
  readonly threadId: string;
  /** The server's agent, and the policy for a message to a busy thread. */
  readonly run?: RunOptions;
}

/** A message of TanStack AI: with parts, or with content. */
interface AnyMessage {
  readonly id?: string;
  readonly role: string;
  readonly parts?: readonly { readonly type: string }[];
  readonly content?: unknown;
}

/** The context that TanStack AI passes to `send`. */
interface RunContext {
  readonly runId: string;
  readonly resume?: readonly { readonly interruptId: string; readonly status: string; readonly payload?: unknown }[];
  readonly clientTools?: readonly unknown[];
  readonly forwardedProps?: object;
}

/** A connection of TanStack AI. Its chunks are AG-UI events; the type is open, because TanStack AI's own type is closed. */
export interface CarrelConnection {
  // oxlint-disable-next-line typescript/no-explicit-any
  subscribe(signal?: AbortSignal): AsyncIterable<any>;
  // oxlint-disable-next-line typescript/no-explicit-any
  send(messages: readonly AnyMessage[], data?: Record<string, any>, signal?: AbortSignal, context?: RunContext): Promise<void>;
}

/**
 * A connection for TanStack AI's `useChat` and `ChatClient`, with `live: true`. It restates the thread, and then passes on the events
 * of all its runs, also those of other devices. A run continues without subscribers; the signal of `send` stops it.
 */
export function carrelConnection({ client, threadId, run }: CarrelConnectionOptions): CarrelConnection {
  /** The ids of the user's messages that the page has sent or received. */
  const shown = new Set<string>();
  return {
    subscribe: (signal) => events(client, threadId, shown, signal),
    send: async (messages, _data, signal, context) => {
      const { runId, resume: given = [], clientTools: tools, forwardedProps } = context ?? { runId: timedId() };
      refuseFields({ tools, forwardedProps });
      await loaded(client, threadId);
      signal?.throwIfAborted();
      const stock = messages.map(({ id = "", role, parts, content }) => ({ id, role, content: parts ?? (content as string) }));
      const open = client.state.thread?.interrupts ?? [];
      const added = newMessages(given.length > 0 ? [] : stock, runId, client.state.thread?.messages ?? [], given.length > 0 ? new Set() : shown);
      if (added.length === 0 && given.length === 0) throw new Error(NOTHING_NEW);
      // As on Carrel's page, a message refuses the open questions.
      const resume = given.length > 0 ? given.map(answerOf) : open.map(refuse);
      for (const { id, role } of stock) if (role === "user") shown.add(id);
      client.run(runId, added, resume.length > 0 ? { threadId, resume } : undefined, run);
      // The client's notices show the refusal of a cancel.
      signal?.addEventListener("abort", () => { if (!client.hasEnded(runId)) client.cancel(runId).catch(() => {}); }, { once: true });
      await client.settled(runId);
    },
  };
}

async function* events(client: CarrelClient, threadId: string, shown: Set<string>, signal: AbortSignal | undefined): AsyncGenerator<AgentEvent | MessagesSnapshot> {
  await loaded(client, threadId);
  const out = new Pushed<AgentEvent | MessagesSnapshot>();
  const stop = listen(client, threadId, shown, out);
  signal?.addEventListener("abort", () => out.end(), { once: true });
  try {
    if (!signal?.aborted) yield* out;
  } finally {
    stop();
  }
}

/** Restates the thread into out, and then passes on its events. Returns a function that stops it. */
function listen(client: CarrelClient, threadId: string, shown: Set<string>, out: Pushed<AgentEvent | MessagesSnapshot>): () => void {
  let runId = client.running()?.runId;
  const { interrupts = [], messages = [] } = client.state.thread ?? {};
  const see = (all: readonly Message[]): void => {
    for (const { id, role } of all) if (role === "user") shown.add(id);
  };
  const put = (event: AgentEvent | MessagesSnapshot): void => {
    if ("messages" in event) {
      see(event.messages);
      // TanStack AI would show the messages of sub-agents as the thread's own.
      out.push({ ...event, messages: event.messages.filter(({ subagentRunId }) => !subagentRunId) });
    } else if (!event.subagentRunId) out.push(adapted(event, runId));
  };
  if (messages.length > 0 || runId !== undefined) for (const event of restate(client, threadId, String(askedBy(interrupts[0] ?? { id: "", reason: "" }) ?? timedId()))) put(event);
  const unlisten = client.onEvent(({ event, ...one }) => {
    if (one.threadId !== threadId) return;
    if (event.type === "RUN_STARTED") runId = one.runId;
    const { input, ...bare } = event;
    put(bare);
    // The page knows the messages that it has sent itself.
    if (input?.messages.some(({ metadata, id }) => !shown.has(String(metadata?.clientId ?? id)))) put(snapshot(client));
    if (isLast(event)) runId = undefined;
  });
  const lose = (why: keyof typeof LOST): void => {
    if (why === "unseen") put(snapshot(client));
    put({ type: "RUN_ERROR", message: LOST[why], code: why });
    runId = undefined;
  };
  const unwatch = client.subscribe(() => {
    if (client.state.thread?.threadId !== threadId) {
      lose("elsewhere");
      out.end();
    } else if (runId !== undefined && client.hasEnded(runId)) lose("unseen");
  });
  return () => {
    unlisten();
    unwatch();
  };
}

/** TanStack AI needs the run's id in RUN_ERROR, and its own metadata in an interrupt that a person may answer. */
function adapted(event: AgentEvent, runId: string | undefined): AgentEvent {
  if (event.type === "RUN_ERROR") return { ...event, ...(runId !== undefined && { runId }) };
  const { outcome } = event;
  if (outcome?.type !== "interrupt") return event;
  return { ...event, outcome: { ...outcome, interrupts: (outcome.interrupts ?? []).map((one) => bound(one, event.runId ?? "")) } };
}

/** The interrupt with TanStack AI's binding: it names the run that asks, and the digest of the schema. */
function bound(interrupt: Interrupt, interruptedRunId: string): Interrupt {
  const { id, responseSchema, expiresAt, metadata } = interrupt;
  const binding = {
    v: 1, kind: "generic", interruptId: id, interruptedRunId, generation: 0,
    ...(responseSchema !== undefined && { responseSchemaHash: digestInterruptJson(canonicalInterruptJson(responseSchema)) }), ...(expiresAt && { expiresAt }),
  };
  return { ...interrupt, metadata: { ...metadata, "tanstack:interruptBinding": binding } };
}

function answerOf({ interruptId, status, payload }: NonNullable<RunContext["resume"]>[number]): Resume {
  if (status === "cancelled") return { interruptId, status };
  return { interruptId, status: "resolved", ...(payload !== undefined && payload !== null && { payload }) };
}
