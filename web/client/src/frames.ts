/**
 * The frames of the protocol carrel.v1, as shared/wire says them in Go; docs/protocol.md is the manual. A server's
 * frame is decoded leniently: a newer server may say more than this client knows.
 */

export const SUBPROTOCOL = "carrel.v1";
export const BEARER_PREFIX = "bearer.";
/** A longer frame closes the socket (API Gateway's limit), in bytes of UTF-8. */
export const MAX_FRAME = 32 * 1024;

export type Role = "user" | "assistant" | "tool" | "reasoning";
export type Metadata = { readonly [name: string]: unknown };

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text, exactly as the model wrote it. */
  readonly function: { readonly name: string; readonly arguments: string };
}

export interface Message {
  readonly id: string;
  readonly role: Role;
  readonly content: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly toolCallId?: string;
  readonly metadata?: Metadata;
}

/** One AG-UI event: the fields that its type requires are there, others are not. */
export interface AgentEvent {
  readonly type: string;
  readonly timestamp?: number;
  readonly metadata?: Metadata;
  readonly threadId?: string;
  readonly runId?: string;
  readonly input?: { readonly threadId: string; readonly runId: string; readonly messages: readonly Message[] };
  readonly outcome?: { readonly type: string };
  readonly message?: string;
  readonly code?: string;
  readonly messageId?: string;
  readonly role?: Role;
  readonly delta?: string;
  readonly toolCallId?: string;
  readonly toolCallName?: string;
  readonly parentMessageId?: string;
  readonly content?: string;
}

/** The last event that somebody has applied. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

interface Request {
  readonly requestId?: string;
}
export interface Hello extends Request {
  readonly type: "hello";
  readonly n: number;
  readonly threadId?: string;
  readonly cursor?: Cursor;
}
export interface Run extends Request {
  readonly type: "run";
  readonly n: number;
  readonly runId: string;
  readonly threadId: string;
  readonly messages: readonly Message[];
  readonly agent?: string;
}
export interface Cancel extends Request {
  readonly type: "cancel";
  readonly runId: string;
}
export interface Threads extends Request {
  readonly type: "threads";
  readonly before?: string;
  readonly limit?: number;
}
export interface History extends Request {
  readonly type: "history";
  readonly threadId: string;
  readonly before?: number;
  readonly limit?: number;
}
export interface Rename extends Request {
  readonly type: "rename";
  readonly threadId: string;
  readonly title: string;
}
export interface Delete extends Request {
  readonly type: "delete";
  readonly threadId: string;
}
export interface Ping extends Request {
  readonly type: "ping";
  readonly threadId?: string;
  readonly cursor?: Cursor;
}
export type ClientFrame = Hello | Run | Cancel | Threads | History | Rename | Delete | Ping;

export interface RunState {
  readonly runId: string;
  readonly threadId: string;
  readonly status: string;
  /** Only of waiting runs in `ready`. */
  readonly messages?: readonly Message[];
}
export interface Ready {
  readonly type: "ready";
  readonly requestId?: string;
  readonly n: number;
  readonly connectionId: string;
  readonly threadId: string;
  readonly epoch?: string;
  readonly head: number;
  readonly recovered: boolean;
  readonly active?: RunState;
  readonly waiting?: readonly RunState[];
  readonly reconnectBy?: number;
}
export interface Snapshot {
  readonly type: "snapshot";
  readonly n: number;
  readonly threadId: string;
  readonly epoch: string;
  readonly seq: number;
  readonly messages: readonly Message[];
  readonly more: boolean;
  readonly before?: number;
}
export interface Pong {
  readonly type: "pong";
  readonly requestId?: string;
  readonly threadId?: string;
  readonly epoch?: string;
  readonly head?: number;
  readonly runs?: readonly RunState[];
}
export interface Events {
  readonly type: "events";
  readonly threadId: string;
  readonly epoch: string;
  readonly seq: number;
  readonly runId: string;
  readonly events: readonly AgentEvent[];
}
export interface Accepted {
  readonly type: "accepted";
  readonly requestId?: string;
  readonly runId: string;
  readonly threadId?: string;
  /** running, waiting, or ended for a repeat of a run that has ended. */
  readonly state: string;
  readonly position?: number;
}
export interface Rejected {
  readonly type: "rejected";
  readonly requestId?: string;
  readonly runId: string;
  readonly code: string;
  readonly message: string;
}
export interface Ended {
  readonly type: "ended";
  readonly runId: string;
  readonly threadId: string;
  readonly status: string;
}
export interface ThreadInfo {
  readonly threadId: string;
  readonly title: string;
  /** running, waiting or idle. */
  readonly status?: string;
  /** Times are ms since the epoch. */
  readonly created: number;
  readonly updated: number;
  readonly head: number;
}
export interface ThreadFrame extends ThreadInfo {
  readonly type: "thread";
  readonly deleted?: boolean;
}
/** A rename or a deletion is durable. */
export interface Done {
  readonly type: "done";
  readonly requestId?: string;
  readonly threadId: string;
}
export interface ThreadList {
  readonly type: "threads";
  readonly requestId?: string;
  readonly threads: readonly ThreadInfo[];
  readonly more: boolean;
}
export interface HistoryPage {
  readonly type: "history";
  readonly requestId?: string;
  readonly threadId: string;
  readonly epoch?: string;
  readonly messages: readonly Message[];
  readonly more: boolean;
  readonly before?: number;
}
export interface ErrorFrame {
  readonly type: "error";
  readonly requestId?: string;
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly retryAfterMs?: number;
}
export interface Part {
  readonly type: "part";
  readonly id: string;
  readonly n: number;
  readonly of: number;
  readonly data: string;
}
/** What API Gateway says of itself has no type: a request may not have arrived. */
export interface Untyped {
  readonly type: "";
}
export type ServerFrame =
  | Ready | Snapshot | Pong | Events | Accepted | Rejected | Ended | ThreadFrame | ThreadList | HistoryPage
  | Done | ErrorFrame | Part | Untyped;

/** What each frame needs before the view may look at it. */
function required(type: string): Record<string, "string" | "number" | "array"> | undefined {
  switch (type) {
    case "ready": return { n: "number", threadId: "string", head: "number" };
    case "snapshot": return { n: "number", threadId: "string", epoch: "string", seq: "number", messages: "array" };
    case "pong": return {};
    case "events": return { threadId: "string", epoch: "string", seq: "number", runId: "string", events: "array" };
    case "accepted": return { runId: "string", state: "string" };
    case "rejected": return { runId: "string", code: "string", message: "string" };
    case "ended": return { runId: "string", threadId: "string" };
    case "thread": return { threadId: "string", updated: "number" };
    case "threads": return { threads: "array" };
    case "history": return { threadId: "string", messages: "array" };
    case "done": return { threadId: "string" };
    case "error": return { code: "string", message: "string" };
    case "part": return { id: "string", n: "number", of: "number", data: "string" };
    default: return undefined;
  }
}

/**
 * Decodes a server's frame. A frame without a type is `Untyped`; what is no frame that this client knows is undefined
 * and is to be passed over. Throws if it is not JSON or lacks what its type requires.
 */
export function decodeServer(text: string): ServerFrame | undefined {
  const frame: unknown = JSON.parse(text);
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) return undefined;
  const fields = frame as Record<string, unknown>;
  if (fields.type === undefined) return { type: "" };
  const wanted = typeof fields.type === "string" ? required(fields.type) : undefined;
  if (!wanted) return undefined;
  for (const [name, kind] of Object.entries(wanted)) {
    const value = fields[name];
    if (kind === "array" ? !Array.isArray(value) : typeof value !== kind) {
      throw new Error(`a ${String(fields.type)} frame of the server lacks ${name}`);
    }
  }
  return fields as unknown as ServerFrame;
}

/** Encodes a client's frame; throws if the server could not take it. */
export function encodeClient(frame: ClientFrame): string {
  const text = JSON.stringify(frame);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_FRAME) {
    throw new Error(
      `This message is too long to send: ${Math.ceil(bytes / 1024)} KB, and at most ${MAX_FRAME / 1024} KB are allowed. Shorten it.`,
    );
  }
  return text;
}
