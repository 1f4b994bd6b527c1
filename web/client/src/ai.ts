import { Chunks } from "./ai-chunks.ts";
import type { Chunk } from "./ai-chunks.ts";
import { isOf, toUIMessages } from "./ai-messages.ts";
import type { ToolPart, UIMessage } from "./ai-messages.ts";
import type { CarrelClient } from "./client.ts";
import type { RunOptions } from "./contract.ts";
import type { Interrupt, Resume } from "./events.ts";
import { follow, isLast, loaded, LOST } from "./follow.ts";
import { refuse } from "./interrupts.ts";
import { timedId } from "./ids.ts";
import { newMessages, NOTHING_NEW, ONLY_GROWS, refuseFields } from "./stock-input.ts";

export type { Chunk } from "./ai-chunks.ts";
export type { Part, Provided, ToolPart, UIMessage } from "./ai-messages.ts";

export interface CarrelTransportOptions {
  /** A connected client. The transport opens its chat on it, so each chat on a page needs a client of its own. */
  readonly client: CarrelClient;
  /** The server's agent, and the policy for a message to a busy thread. */
  readonly run?: RunOptions;
}

/** A message of the page's chat. Its parts are of any kind. */
interface AnyMessage {
  readonly id: string;
  readonly role: string;
  readonly parts: readonly { readonly type: string }[];
}

/** The input of `sendMessages`, in versions 6 and 7 of the AI SDK. */
interface SendInput {
  readonly trigger: "submit-message" | "regenerate-message";
  readonly chatId: string;
  readonly messages: readonly AnyMessage[];
  readonly abortSignal: AbortSignal | undefined;
  readonly body?: object | undefined;
  readonly metadata?: unknown;
  readonly headers?: unknown;
}

/**
 * A `ChatTransport` of the AI SDK, versions 6 and 7. The chat's id is the thread's id, and an answer is one message whose id is its
 * run's. A run continues without its stream; the abort signal stops it. Pass `useChat` a `Chat` of your own: one that `useChat`
 * makes stops its run when its component is removed.
 */
export class CarrelTransport {
  readonly #client: CarrelClient;
  readonly #run: RunOptions | undefined;
  /** The ids of the user's messages that the page has, by thread. */
  readonly #shown = new Map<string, Set<string>>();
  /** Counts the calls of reconnectToStream: a later call replaces an earlier one. */
  #reconnects = 0;

  constructor({ client, run }: CarrelTransportOptions) {
    this.#client = client;
    this.#run = run;
  }

  /** The stored messages of a thread, for the chat's `messages`. It leaves out the answer of a running run, which reconnectToStream brings. */
  async messages(chatId: string): Promise<UIMessage[]> {
    await loaded(this.#client, chatId);
    const { done } = this.#restored();
    for (const { id, role } of done) if (role === "user") this.#shownIn(chatId).add(id);
    return done;
  }

  /**
   * For the chat's `sendAutomaticallyWhen`: whether each open question has an answer in the messages. The AI SDK's own predicates
   * look at the last step of a message, and would also send after a run that a person stopped.
   */
  isAnswered = ({ messages }: { readonly messages: readonly AnyMessage[] }): boolean => {
    const open = this.#client.state.thread?.interrupts ?? [];
    return open.length > 0 && answersOf(messages, open).length === open.length;
  };

  async sendMessages({ trigger, chatId, messages, abortSignal, body, metadata, headers }: SendInput): Promise<ReadableStream<Chunk>> {
    if (trigger === "regenerate-message") throw new Error(ONLY_GROWS);
    refuseFields({ body, metadata, headers });
    await loaded(this.#client, chatId);
    abortSignal?.throwIfAborted();
    const open = this.#client.state.thread?.interrupts ?? [];
    const runId = timedId();
    const stock = messages.map(({ id, role, parts }) => ({ id, role, content: parts }));
    const added = newMessages(stock, runId, this.#client.state.thread?.messages ?? [], this.#shownIn(chatId));
    const answers = answersOf(messages, open);
    if (added.length === 0 && answers.length === 0) throw new Error(NOTHING_NEW);
    // As on Carrel's page, a message refuses the questions that have no answer.
    const resume = added.length > 0 ? open.map((one) => answers.find(({ interruptId }) => interruptId === one.id) ?? refuse(one)) : answers;
    const chunks = new Chunks(runId, added.length > 0 ? undefined : this.#restored().done.at(-1));
    const stream = this.#follow(chatId, runId, chunks, [], () => {
      this.#client.run(runId, added, resume.length > 0 ? { threadId: chatId, resume } : undefined, this.#run);
    });
    for (const { id, role } of stock) if (role === "user") this.#shownIn(chatId).add(id);
    abortSignal?.addEventListener("abort", () => this.#cancel(runId), { once: true });
    return stream;
  }

  /** The running answer from its beginning; null if none is running. */
  async reconnectToStream({ chatId, abortSignal }: { readonly chatId: string; readonly abortSignal?: AbortSignal | undefined }): Promise<ReadableStream<Chunk> | null> {
    const n = ++this.#reconnects;
    await loaded(this.#client, chatId);
    if (abortSignal?.aborted) return null;
    const { answer } = this.#restored();
    const running = this.#client.running();
    if (!running) return null;
    // The AI SDK also aborts an earlier call when it makes a later one, in the same task.
    abortSignal?.addEventListener("abort", () => queueMicrotask(() => {
      if (n === this.#reconnects) this.#cancel(running.runId);
    }), { once: true });
    const chunks = new Chunks(running.runId, answer);
    const [first, ...rest] = running.events;
    const begun = answer ? chunks.replay() : chunks.of(first!);
    return this.#follow(chatId, running.runId, chunks, [...begun, ...rest.flatMap((event) => chunks.of(event))]);
  }

  /** The thread's messages, and the answer that the running run continues, which is not among them. */
  #restored(): { done: UIMessage[]; answer?: UIMessage } {
    const { messages = [], runs = new Map(), interrupts = [] } = this.#client.state.thread ?? {};
    const running = this.#client.running();
    const asked = running?.events[0]?.input?.messages ?? [];
    const done = toUIMessages(running ? [...running.before, ...asked] : messages, runs, interrupts);
    const answer = running && done.at(-1)?.role === "assistant" ? done.pop() : undefined;
    return { done, ...(answer && { answer }) };
  }

  #follow(threadId: string, runId: string, chunks: Chunks, begun: readonly Chunk[], request?: () => void): ReadableStream<Chunk> {
    let stop = (): void => {};
    return new ReadableStream<Chunk>({
      start: (out) => {
        for (const chunk of begun) out.enqueue(chunk);
        const followed = follow(this.#client, { threadId, runId }, {
          event: (event) => {
            for (const chunk of chunks.of(event)) out.enqueue(chunk);
            if (isLast(event)) out.close();
          },
          lost: (why) => out.error(new Error(LOST[why])),
        });
        ({ stop } = followed);
        if (!request) return;
        try {
          request();
        } catch (error) {
          stop();
          throw error;
        }
        followed.requested().catch((error: unknown) => {
          stop();
          out.error(error);
        });
      },
      cancel: () => stop(),
    });
  }

  #cancel(runId: string): void {
    // The client's notices show a refusal.
    if (!this.#client.hasEnded(runId)) this.#client.cancel(runId).catch(() => {});
  }

  #shownIn(threadId: string): Set<string> {
    const shown = this.#shown.get(threadId) ?? new Set();
    this.#shown.set(threadId, shown);
    return shown;
  }
}

/** The person's answers in the messages to the open questions. */
function answersOf(messages: readonly AnyMessage[], open: readonly Interrupt[]): Resume[] {
  const parts = messages.filter(({ role }) => role === "assistant").flatMap((message) => message.parts as readonly ToolPart[]);
  return open.flatMap((interrupt) => {
    const part = parts.findLast(({ toolCallId, approval }) => approval?.id === interrupt.id
      || (interrupt.reason !== "tool_call" && toolCallId !== undefined && isOf(toolCallId, interrupt.toolCallId ?? "")));
    return part ? answerOf(part, interrupt) : [];
  });
}

function answerOf({ state, approval, output }: ToolPart, interrupt: Interrupt): Resume[] {
  if (interrupt.reason === "tool_call") {
    if (approval?.approved === undefined) return [];
    if (approval.reason) throw new Error("This agent cannot take a `reason` with an approval. Send a message instead.");
    return [approval.approved ? { interruptId: interrupt.id, status: "resolved" } : refuse(interrupt)];
  }
  if (state === "output-error") return [refuse(interrupt)];
  return state === "output-available" ? [{ interruptId: interrupt.id, status: "resolved", payload: output }] : [];
}
