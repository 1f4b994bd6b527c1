/**
 * The frames that the server sends, as in shared/wire; docs/protocol.md is the reference. The client decodes them leniently:
 * a newer server may send more than this client knows.
 */
import type { AgentEvent, Interrupt, Message, Usage } from "./events.ts";

export interface RunState {
  readonly runId: string;
  readonly threadId: string;
  readonly status: string;
  /** Only of queued runs in `ready`. */
  readonly messages?: readonly Message[];
}
/** An agent that a run may name. */
export interface Agent {
  readonly name: string;
  readonly description?: string;
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
  /** The agents that the user may choose, the default first. Absent if there is only one. */
  readonly agents?: readonly Agent[];
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
  /** The thread's row as of these events. It is applied after them. */
  readonly row?: ThreadInfo;
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
