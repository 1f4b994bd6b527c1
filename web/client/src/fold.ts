import type { AgentEvent, Message, Metadata, Role, ToolCall } from "./events.ts";
import type { RunHeader } from "./server-frames.ts";

/**
 * Folds the events of runs, in order, into messages. The server's Folder returns the same messages for every stream, even for
 * streams that no run produces. Each file in shared/agui/testdata/folds shows one rule.
 */
export class Folder {
  #messages: Message[] = [];
  /** The index of each message. */
  readonly #positions = new Map<string, number>();
  /** The message of each call that the last run has begun: further arguments may follow. */
  readonly #calls = new Map<string, string>();
  /** The run of each message whose run is known. It grows with the messages. */
  readonly runs = new Map<string, string>();
  #run: string | undefined;

  /** The first run has made the first messages, as many as it counts; the next run the messages after them, and so on. */
  constructor(messages: readonly Message[] = [], runs: readonly Pick<RunHeader, "runId" | "messages">[] = []) {
    let at = 0;
    for (const { runId, messages: n } of runs) {
      this.#run = runId;
      for (const end = at + n; at < end && at < messages.length; at++) this.#put(messages[at]!);
    }
    this.#run = undefined;
    for (const message of messages.slice(at)) this.#put(message);
  }

  /** The messages so far, oldest first. The array is never changed afterwards. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Returns a folder with older messages before the present ones. */
  prepend(older: readonly Message[], runs?: readonly RunHeader[]): Folder {
    const whole = new Folder(older, runs);
    for (const message of this.#messages) {
      whole.#run = this.runs.get(message.id);
      whole.#put(message);
    }
    whole.#run = this.#run;
    for (const [call, message] of this.#calls) whole.#calls.set(call, message);
    return whole;
  }

  add(event: AgentEvent): void {
    const { messageId = "", toolCallId = "", delta = "" } = event;
    switch (event.type) {
      case "RUN_STARTED":
        // A model may use the same call ids in every run.
        this.#calls.clear();
        this.#run = event.runId;
        for (const message of event.input?.messages ?? []) this.#put(message);
        return;
      case "TEXT_MESSAGE_START":
        return this.#start(event, messageId, event.role || "assistant");
      case "REASONING_MESSAGE_START":
        return this.#start(event, messageId, "reasoning");
      case "TEXT_MESSAGE_CONTENT":
      case "REASONING_MESSAGE_CONTENT":
        return this.#change(messageId, event.metadata, (m) => ({ ...m, content: m.content + delta }));
      case "TEXT_MESSAGE_END":
      case "REASONING_MESSAGE_END":
        return this.#change(messageId, event.metadata, (m) => m);
      case "TOOL_CALL_START":
        return this.#startCall(event);
      case "TOOL_CALL_ARGS":
        return this.#changeCall(toolCallId, delta);
      case "TOOL_CALL_RESULT":
        return this.#put(withMetadata({ id: messageId, role: "tool", content: event.content ?? "", toolCallId, ...lineOf(event) }, event.metadata));
    }
  }

  #start(event: AgentEvent, id: string, role: Role): void {
    this.#put({ id, role, content: "", ...lineOf(event) });
    this.#change(id, event.metadata, (m) => m);
  }

  /** Adds the call to the assistant message that the event names, else to the message with the call's id, which it creates if needed. */
  #startCall(event: AgentEvent): void {
    const { toolCallId: id = "", toolCallName: name = "", parentMessageId: parent = "", metadata } = event;
    if (this.#calls.has(id)) return;
    const caller = parent !== "" && this.#mayCall(parent) ? parent : id;
    if (!this.#mayCall(caller)) return;
    const call: ToolCall = { id, type: "function", function: { name, arguments: "" } };
    this.#put({ id: caller, role: "assistant", content: "", ...lineOf(event) });
    this.#calls.set(id, caller);
    this.#change(caller, metadata, (m) => ({ ...m, toolCalls: [...(m.toolCalls ?? []), call] }));
  }

  /** Whether a call may be added to the message with this id: it is an assistant's, or does not exist yet. */
  #mayCall(id: string): boolean {
    const at = this.#positions.get(id);
    return at === undefined || this.#messages[at]!.role === "assistant";
  }

  #changeCall(id: string, delta: string): void {
    const caller = this.#calls.get(id);
    if (caller === undefined) return;
    this.#change(caller, undefined, (m) => {
      const calls = [...(m.toolCalls ?? [])];
      // An earlier run may have used the same call id.
      const last = calls.findLastIndex((c) => c.id === id);
      const { function: made, ...call } = calls[last]!;
      calls[last] = { ...call, function: { ...made, arguments: made.arguments + delta } };
      return { ...m, toolCalls: calls };
    });
  }

  #change(id: string, metadata: Metadata | undefined, to: (message: Message) => Message): void {
    const at = this.#positions.get(id);
    if (at !== undefined) this.#messages = this.#messages.with(at, withMetadata(to(this.#messages[at]!), metadata));
  }

  /**
   * Appends a message. A result is inserted after the message with its call, which may be of an earlier run, and after the
   * results that follow there. A message whose id exists is ignored.
   */
  #put(message: Message): void {
    if (this.#positions.has(message.id)) return;
    let at = this.#messages.length;
    const called = message.role === "tool" ? this.#callerOf(message.toolCallId ?? "") : -1;
    if (called >= 0) {
      for (at = called + 1; this.#messages[at]?.role === "tool";) at++;
      for (const [id, place] of this.#positions) if (place >= at) this.#positions.set(id, place + 1);
    }
    this.#positions.set(message.id, at);
    if (this.#run) this.runs.set(message.id, this.#run);
    this.#messages = this.#messages.toSpliced(at, 0, message);
  }

  #callerOf(call: string): number {
    const caller = this.#calls.get(call);
    return caller === undefined ? this.#messages.findLastIndex(({ toolCalls }) => toolCalls?.some(({ id }) => id === call)) : this.#positions.get(caller)!;
  }
}

/** The line of an event, as its message has it. */
function lineOf({ subagentRunId }: AgentEvent): { subagentRunId?: string } {
  return subagentRunId ? { subagentRunId } : {};
}

/** Merges an event's metadata into the message's. Metadata that is not an object is ignored. */
function withMetadata(message: Message, metadata: Metadata | undefined): Message {
  if (!isObject(metadata)) return message;
  return { ...message, metadata: { ...(isObject(message.metadata) && message.metadata), ...metadata } };
}

function isObject(metadata: Metadata | undefined): metadata is Metadata {
  return typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
}
