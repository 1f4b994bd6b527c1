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

/** What an agent asks a person; the thread waits until it is answered or expires. */
export interface Interrupt {
  readonly id: string;
  /** tool_call: may this tool be called? input_required: the answer's payload is what the tool asked for. */
  readonly reason: string;
  readonly message?: string;
  readonly toolCallId?: string;
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
}

/** One AG-UI event: the fields that its type requires are there, others are not. */
export interface AgentEvent {
  readonly type: string;
  readonly timestamp?: number;
  readonly metadata?: Metadata;
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
/** If the thread is busy: wait for it (the default), be refused, or stop the run that is running and go after it. */
export type WhenBusy = "enqueue" | "reject" | "interrupt";
export interface Run extends Request {
  readonly type: "run";
  readonly n: number;
  readonly runId: string;
  readonly threadId: string;
  readonly messages: readonly Message[];
  readonly agent?: string;
  readonly whenBusy?: WhenBusy;
  /** Answers to all open interrupts of the thread. */
  readonly resume?: readonly Resume[];
}
export interface Cancel extends Request {
  readonly type: "cancel";
  readonly runId: string;
}
export interface Threads extends Request {
  readonly type: "threads";
  /** The `before` of the page before; absent: the top. */
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
export interface Runs extends Request {
  readonly type: "runs";
  /** The `before` of the page before; absent: the top. */
  readonly before?: string;
  readonly limit?: number;
}
export interface Erase extends Request {
  readonly type: "erase";
  readonly confirm: true;
}
/** Ends all sessions of the user, on every device. */
export interface SignOut extends Request {
  readonly type: "signOut";
  readonly everywhere: true;
  readonly cancelRuns?: boolean;
}
export interface Ping extends Request {
  readonly type: "ping";
  readonly threadId?: string;
  readonly cursor?: Cursor;
}
export type ClientFrame = Hello | Run | Cancel | Threads | History | Rename | Delete | Runs | Erase | SignOut | Ping;

export interface RunState {
  readonly runId: string;
  readonly threadId: string;
  readonly status: string;
  /** Only of queued runs in `ready`. */
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
  readonly queued?: readonly RunState[];
  readonly interrupts?: readonly Interrupt[];
  readonly limits?: { readonly textBytes?: number; readonly messages?: number };
  /** How long after this frame the next socket is opened. A duration, because a device's clock may be wrong. */
  readonly reconnectInMs?: number;
}
/** Which messages of a snapshot or a page are a run's: the first header counts the first ones, the next one those behind. */
export interface RunHeader {
  readonly runId: string;
  /** Of its RUN_STARTED. */
  readonly seq: number;
  readonly messages: number;
  /** When it began, in ms since the epoch. */
  readonly at?: number;
  /** The agent that answers. */
  readonly agent?: string;
  /** The first model that the usage names. */
  readonly model?: string;
  readonly usage?: readonly Usage[];
}
export interface Snapshot {
  readonly type: "snapshot";
  readonly n: number;
  readonly threadId: string;
  readonly epoch: string;
  readonly seq: number;
  readonly messages: readonly Message[];
  /** Of the messages, in order. */
  readonly runs?: readonly RunHeader[];
  readonly interrupts?: readonly Interrupt[];
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
  /** The thread waits for a person. */
  readonly interrupted?: boolean;
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
  /** Absent for an erase. */
  readonly runId?: string;
  readonly threadId?: string;
  /** running, queued, or ended for a repeat of a run that has ended; erasing for an erase. */
  readonly state: string;
  readonly position?: number;
}
export interface Rejected {
  readonly type: "rejected";
  readonly requestId?: string;
  readonly runId: string;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** interrupted: the field that holds the wrong part of an answer. */
  readonly field?: string;
  /** interrupted: what is open. */
  readonly interrupts?: readonly Interrupt[];
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
  /** running, queued or idle. */
  readonly status?: string;
  /** Times are ms since the epoch. */
  readonly created: number;
  readonly updated: number;
  /** The last admission of a run. Lists are in this order, but pinned threads come first and archived ones last. */
  readonly used?: number;
  readonly pinned?: boolean;
  readonly archived?: boolean;
  readonly head: number;
  /** It waits for a person's answer. */
  readonly interrupted?: boolean;
}
export interface ThreadFrame extends ThreadInfo {
  readonly type: "thread";
  readonly deleted?: boolean;
}
/** A rename or a deletion is durable; without a thread: everything of the user is erased. */
export interface Done {
  readonly type: "done";
  readonly requestId?: string;
  readonly threadId?: string;
}
export interface ThreadList {
  readonly type: "threads";
  readonly requestId?: string;
  readonly threads: readonly ThreadInfo[];
  readonly more: boolean;
  /** With `more`: where the next page begins. */
  readonly before?: string;
}
/** What one model used in a run, in tokens. */
export interface Usage {
  readonly provider?: string;
  readonly model?: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}
/** What a run has used so far, or used. */
export interface RunStats {
  readonly modelCalls: number;
  readonly toolCalls: number;
  readonly events: number;
  readonly outputBytes: number;
}
/** One run of the user, whether it goes on or has ended. */
export interface RunInfo {
  readonly runId: string;
  readonly threadId: string;
  /** queued, admitted, running, finished, failed, cancelled or suspended. */
  readonly status: string;
  readonly agent?: string;
  /** Times are ms since the epoch. */
  readonly created?: number;
  readonly started?: number;
  readonly ended?: number;
  readonly attempts?: number;
  readonly stats?: RunStats;
  readonly usage?: readonly Usage[];
}
/** Newest first. The first page has all runs that have not ended, whenever they began. */
export interface RunPage {
  readonly type: "runs";
  readonly requestId?: string;
  readonly runs: readonly RunInfo[];
  readonly more?: boolean;
  /** With `more`: where the next page begins. */
  readonly before?: string;
}
export interface HistoryPage {
  readonly type: "history";
  readonly requestId?: string;
  readonly threadId: string;
  readonly epoch?: string;
  readonly messages: readonly Message[];
  /** Of the messages, in order. */
  readonly runs?: readonly RunHeader[];
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
  | RunPage | Done | ErrorFrame | Part | Untyped;
