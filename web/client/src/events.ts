/** The events and messages of AG-UI 1.0, as far as the client reads them. The Go side is shared/agui. */
export type Role = "user" | "assistant" | "tool" | "reasoning";
export type Metadata = { readonly [name: string]: unknown };

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text, exactly as the model wrote it. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A question or approval for the user. The thread is awaiting input until it has a response or expires. */
export interface Interrupt {
  readonly id: string;
  /** tool_call: the user must approve a tool call. input_required: the response's payload is the input that the tool requests. */
  readonly reason: string;
  readonly message?: string;
  readonly toolCallId?: string;
  /** The line of the call, if a sub-agent made it. */
  readonly subagentRunId?: string;
  /** A JSON schema of the payload. */
  readonly responseSchema?: unknown;
  /** RFC 3339; then it counts as refused. */
  readonly expiresAt?: string;
  /** `carrel` is {runId, tool, arguments}. */
  readonly metadata?: Metadata;
}

/** The answer to an Interrupt; cancelled refuses. */
export interface Resume {
  readonly interruptId: string;
  readonly status: "resolved" | "cancelled";
  readonly payload?: unknown;
}

export interface Message {
  readonly id: string;
  readonly role: Role;
  readonly content: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly toolCallId?: string;
  readonly metadata?: Metadata;
  /** The line of the message: the call that asked another agent. Without it, the message is part of the thread's conversation. */
  readonly subagentRunId?: string;
}

/** One AG-UI event: the fields that its type requires are there, others are not. */
export interface AgentEvent {
  readonly type: string;
  readonly timestamp?: number;
  readonly metadata?: Metadata;
  /** The line of the event: the call that asked another agent. Without it, the event is of the run's own agent. */
  readonly subagentRunId?: string;
  readonly threadId?: string;
  readonly runId?: string;
  readonly input?: { readonly threadId: string; readonly runId: string; readonly messages: readonly Message[]; readonly resume?: readonly Resume[] };
  readonly outcome?: { readonly type: string; readonly interrupts?: readonly Interrupt[] };
  readonly message?: string;
  readonly code?: string;
  readonly messageId?: string;
  readonly role?: Role;
  readonly delta?: string;
  readonly toolCallId?: string;
  readonly toolCallName?: string;
  readonly parentMessageId?: string;
  readonly content?: string;
  /** Of RUN_FINISHED and RUN_ERROR. */
  readonly usage?: readonly Usage[];
  /** Of a CUSTOM event and of SUBAGENT_STARTED. */
  readonly name?: string;
  /** Of a CUSTOM event. */
  readonly value?: unknown;
}

/** The tokens that one model used in a run. */
export interface Usage {
  readonly provider?: string;
  readonly model?: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Part of outputTokens. */
  readonly reasoningTokens?: number;
  /** Part of inputTokens: read from the provider's cache. */
  readonly cachedInputTokens?: number;
  /** Part of inputTokens: written to the provider's cache. */
  readonly cacheWriteInputTokens?: number;
}
