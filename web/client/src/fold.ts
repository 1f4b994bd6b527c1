import type { AgentEvent, Message, Metadata, Role, ToolCall } from "./frames.ts";

/** Folds the events of runs, in order, into the messages that they build. */
export class Folder {
  #messages: Message[];
  readonly #at = new Map<string, number>();
  readonly #calls = new Map<string, number>();

  constructor(messages: readonly Message[] = []) {
    this.#messages = [];
    // A result whose call an earlier run made stands behind that call, as it does in a view that saw it come.
    for (const message of messages) {
      if (message.role === "tool") this.#result(message);
      else this.#put(message);
    }
  }

  /** The messages so far, oldest first. The array is never changed afterwards. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Puts older messages before those that are there. */
  prepend(older: readonly Message[]): Folder {
    return new Folder([...older, ...this.#messages]);
  }

  add(event: AgentEvent): void {
    const { messageId = "", toolCallId = "", delta = "" } = event;
    switch (event.type) {
      case "RUN_STARTED":
        // A model may name its calls the same in every run.
        this.#calls.clear();
        for (const message of event.input?.messages ?? []) this.#put(message);
        return;
      case "TEXT_MESSAGE_START":
        return this.#start(messageId, event.role ?? "assistant", event.metadata);
      case "REASONING_MESSAGE_START":
        return this.#start(messageId, "reasoning", event.metadata);
      case "TEXT_MESSAGE_CONTENT":
      case "REASONING_MESSAGE_CONTENT":
        return this.#change(messageId, event, (m) => ({ ...m, content: m.content + delta }));
      case "TEXT_MESSAGE_END":
      case "REASONING_MESSAGE_END":
        return this.#change(messageId, event, (m) => m);
      case "TOOL_CALL_START":
        return this.#startCall(event);
      case "TOOL_CALL_ARGS":
        return this.#changeCall(toolCallId, delta);
      case "TOOL_CALL_RESULT":
        return this.#result(withMetadata({ id: messageId, role: "tool", content: event.content ?? "", toolCallId }, event.metadata));
    }
  }

  #start(id: string, role: Role, metadata: Metadata | undefined): void {
    if (!this.#at.has(id)) this.#put(withMetadata({ id, role, content: "" }, metadata));
  }

  #startCall(event: AgentEvent): void {
    const call: ToolCall = {
      id: event.toolCallId ?? "", type: "function", function: { name: event.toolCallName ?? "", arguments: "" },
    };
    if (this.#calls.has(call.id)) return;
    const parent = event.parentMessageId ?? call.id;
    this.#start(parent, "assistant", undefined);
    this.#calls.set(call.id, this.#at.get(parent)!);
    this.#change(parent, event, (m) => ({ ...m, toolCalls: [...(m.toolCalls ?? []), call] }));
  }

  #changeCall(id: string, delta: string): void {
    const index = this.#calls.get(id);
    if (index === undefined) return;
    this.#replace(index, (m) => ({
      ...m,
      toolCalls: m.toolCalls?.map((c) =>
        c.id === id ? { ...c, function: { ...c.function, arguments: c.function.arguments + delta } } : c) ?? [],
    }));
  }

  /** Puts a result behind the message that made its call, which may be of an earlier run, and the results that are there. */
  #result(message: Message): void {
    const called = this.#calls.get(message.toolCallId!)
      ?? this.#messages.findLastIndex(({ toolCalls }) => toolCalls?.some(({ id }) => id === message.toolCallId));
    let at = called < 0 ? this.#messages.length : called + 1;
    while (this.#messages[at]?.role === "tool") at++;
    if (this.#at.has(message.id)) return;
    for (const places of [this.#at, this.#calls]) for (const [id, place] of places) if (place >= at) places.set(id, place + 1);
    this.#at.set(message.id, at);
    this.#messages = this.#messages.toSpliced(at, 0, message);
  }

  #change(id: string, event: AgentEvent, to: (message: Message) => Message): void {
    const index = this.#at.get(id);
    if (index !== undefined) this.#replace(index, (m) => withMetadata(to(m), event.metadata));
  }

  #replace(index: number, to: (message: Message) => Message): void {
    this.#messages = this.#messages.with(index, to(this.#messages[index]!));
  }

  #put(message: Message): void {
    if (this.#at.has(message.id)) return;
    this.#at.set(message.id, this.#messages.length);
    this.#messages = [...this.#messages, message];
  }
}

function withMetadata(message: Message, metadata: Metadata | undefined): Message {
  return metadata ? { ...message, metadata: { ...message.metadata, ...metadata } } : message;
}
