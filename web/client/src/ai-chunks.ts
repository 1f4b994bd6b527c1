import type { AgentEvent, Interrupt } from "./events.ts";
import { about, callOf, inputOf, provided, resultOf, toolCallIdOf } from "./ai-messages.ts";
import type { Part, Provided, ToolPart, UIMessage } from "./ai-messages.ts";

/** The chunks of the AI SDK's message stream that this transport makes. They fit versions 6 and 7. */
export type Chunk =
  | { type: "start"; messageId?: string; messageMetadata?: unknown }
  | { type: "start-step" | "finish-step" }
  | { type: "finish"; messageMetadata?: unknown }
  | { type: "error"; errorText: string }
  | { type: "text-start" | "text-end" | "reasoning-start" | "reasoning-end"; id: string; providerMetadata?: Provided }
  | { type: "text-delta" | "reasoning-delta"; id: string; delta: string }
  | { type: "tool-input-start"; toolCallId: string; toolName: string; dynamic: true }
  | { type: "tool-input-delta"; toolCallId: string; inputTextDelta: string }
  | { type: "tool-input-available"; toolCallId: string; toolName: string; input: unknown; dynamic: true }
  | { type: "tool-approval-request"; approvalId: string; toolCallId: string }
  | { type: "tool-output-available"; toolCallId: string; output: unknown; dynamic: true }
  | { type: "tool-output-error"; toolCallId: string; errorText: string; dynamic: true }
  | { type: "tool-output-denied"; toolCallId: string };

interface Call {
  readonly id: string;
  readonly name: string;
  text: string;
}

/** Converts the events of one run into chunks. */
export class Chunks {
  readonly #runId: string;
  /** The answer that the run continues: a person has answered its questions. */
  readonly #answer: UIMessage | undefined;
  /** The run's own calls, by the model's id. */
  readonly #calls = new Map<string, Call>();
  #step: "none" | "open" | "results" = "none";

  constructor(runId: string, answer?: UIMessage) {
    this.#runId = runId;
    this.#answer = answer;
  }

  /** The answer as it was before this run, for a page that lacks it. */
  replay(): Chunk[] {
    if (!this.#answer) return [];
    const { id, metadata, parts } = this.#answer;
    return [{ type: "start", messageId: id, messageMetadata: metadata }, ...parts.flatMap((part, i) => replayed(part, `${id}.${i}`)), { type: "finish-step" }];
  }

  of(event: AgentEvent): Chunk[] {
    // The AI SDK has no place for what a sub-agent does.
    if (event.subagentRunId) return [];
    const { messageId: id = "", delta = "", toolCallId: callId = "" } = event;
    switch (event.type) {
      case "RUN_STARTED":
        return [this.#start(event)];
      case "TEXT_MESSAGE_START":
        return [...this.#content(), { type: "text-start", id }];
      case "TEXT_MESSAGE_CONTENT":
        return [{ type: "text-delta", id, delta }];
      case "TEXT_MESSAGE_END":
        return [{ type: "text-end", id, ...provided(event) }];
      case "REASONING_MESSAGE_START":
        return [...this.#content(), { type: "reasoning-start", id }];
      case "REASONING_MESSAGE_CONTENT":
        return [{ type: "reasoning-delta", id, delta }];
      case "REASONING_MESSAGE_END":
        return [{ type: "reasoning-end", id, ...provided(event) }];
      case "TOOL_CALL_START":
        return this.#callStart(callId, event.toolCallName ?? "");
      case "TOOL_CALL_ARGS":
        return this.#callArgs(callId, delta);
      case "TOOL_CALL_END":
        return this.#callEnd(callId);
      case "TOOL_CALL_RESULT":
        return this.#result(callId, event);
      case "RUN_FINISHED":
        return this.#finish(event);
      case "RUN_ERROR":
        return [{ type: "error", errorText: event.message ?? "The run failed." }];
      default:
        return [];
    }
  }

  /** A run that continues an answer keeps the answer's id, by which the AI SDK finds its message. */
  #start({ timestamp: at, metadata }: AgentEvent): Chunk {
    if (this.#answer) return { type: "start" };
    const agent = (metadata?.carrel as { agent?: unknown } | undefined)?.agent;
    const run = { runId: this.#runId, ...(at && { at }), ...(typeof agent === "string" && { agent }) };
    return { type: "start", messageId: this.#runId, messageMetadata: { carrel: about(run) } };
  }

  /** What precedes text, reasoning and calls: a step ends with the results of its calls. */
  #content(): Chunk[] {
    const before = this.#step;
    this.#step = "open";
    if (before === "open") return [];
    return before === "results" ? [{ type: "finish-step" }, { type: "start-step" }] : [{ type: "start-step" }];
  }

  #callStart(callId: string, name: string): Chunk[] {
    const id = toolCallIdOf(this.#runId, callId);
    this.#calls.set(callId, { id, name, text: "" });
    return [...this.#content(), { type: "tool-input-start", toolCallId: id, toolName: name, dynamic: true }];
  }

  #callArgs(callId: string, delta: string): Chunk[] {
    const call = this.#calls.get(callId);
    if (!call) return [];
    call.text += delta;
    return [{ type: "tool-input-delta", toolCallId: call.id, inputTextDelta: delta }];
  }

  #callEnd(callId: string): Chunk[] {
    const call = this.#calls.get(callId);
    return call ? [{ type: "tool-input-available", toolCallId: call.id, toolName: call.name, input: inputOf(call.text), dynamic: true }] : [];
  }

  /** The result of a call of this answer. A call of an earlier answer stays as it is: the AI SDK changes only the last message. */
  #result(callId: string, event: AgentEvent): Chunk[] {
    const toolCallId = this.#idOf(callId);
    if (toolCallId === undefined) return [];
    if (this.#step === "open") this.#step = "results";
    return [outputOf(toolCallId, resultOf(event))];
  }

  #finish({ outcome, usage }: AgentEvent): Chunk[] {
    const asked = (outcome?.interrupts ?? []).flatMap((one) => this.#ask(one));
    const run = { runId: this.#runId, usage, model: usage?.find(({ model }) => model)?.model };
    const finished: Chunk = { type: "finish", ...(usage && !this.#answer && { messageMetadata: { carrel: JSON.parse(JSON.stringify(run)) as unknown } }) };
    return [...asked, ...(this.#step === "none" ? [] : [{ type: "finish-step" } as const]), finished];
  }

  /** A tool that asks for input stays without output: the page adds it. */
  #ask({ id, reason, toolCallId: callId = "" }: Interrupt): Chunk[] {
    const toolCallId = this.#idOf(callId);
    return reason === "tool_call" && toolCallId !== undefined ? [{ type: "tool-approval-request", approvalId: id, toolCallId }] : [];
  }

  #idOf(callId: string): string | undefined {
    return this.#calls.get(callId)?.id ?? (this.#answer && callOf(this.#answer.parts, callId)?.toolCallId);
  }
}

function outputOf(toolCallId: string, { state, output, errorText = "" }: Pick<ToolPart, "state" | "output" | "errorText">): Chunk {
  if (state === "output-denied") return { type: "tool-output-denied", toolCallId };
  if (state === "output-error") return { type: "tool-output-error", toolCallId, errorText, dynamic: true };
  return { type: "tool-output-available", toolCallId, output, dynamic: true };
}

/** The chunks that make a part. */
function replayed(part: Part, id: string): Chunk[] {
  if (part.type === "step-start") return [{ type: "start-step" }];
  if (part.type !== "dynamic-tool") {
    const { type, text, providerMetadata } = part;
    return [{ type: `${type}-start`, id }, { type: `${type}-delta`, id, delta: text }, { type: `${type}-end`, id, ...(providerMetadata && { providerMetadata }) }];
  }
  const { toolCallId, toolName, input, state } = part;
  const call: Chunk = { type: "tool-input-available", toolCallId, toolName, input, dynamic: true };
  return state.startsWith("output") ? [call, outputOf(toolCallId, part)] : [call];
}
