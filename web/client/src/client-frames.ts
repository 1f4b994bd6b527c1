/** The frames that a client sends, as in shared/wire; docs/protocol.md is the reference. */
import type { Message, Resume } from "./events.ts";

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
