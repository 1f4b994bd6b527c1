import type { MessageRun } from "./headers.ts";
import type { CallProgress, MissingSource } from "./reports.ts";
import type { Cursor } from "./client-frames.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "./events.ts";

/** A requested run without events. */
export interface QueuedRun {
  readonly runId: string;
  /** sending: no answer yet; starting: accepted; queued: behind others. */
  readonly state: "sending" | "starting" | "queued";
  readonly messages: readonly Message[];
  /** Its responses to interrupts. */
  readonly resume?: readonly Resume[];
}

/** The content of one thread as a person sees it. It is never changed: each change makes a new one. */
export interface ThreadState {
  readonly threadId: string;
  /** The server has answered for this thread at least once. */
  readonly loaded: boolean;
  /** Events are missing or may be: there is a gap, an unanswered hello, or no ready connection. */
  readonly lagging: boolean;
  /** The number of events that are known to be missing. */
  readonly gap: number;
  /**
   * Events are missing for good, because the server keeps only their messages, or the thread has a new epoch. It ends when
   * the person sends something in the thread.
   */
  readonly truncated?: boolean;
  readonly cursor?: Cursor;
  readonly messages: readonly Message[];
  /** The run of each message, by the message's id; not of one whose run is not known. */
  readonly runs: ReadonlyMap<string, MessageRun>;
  /** The run that runs now. */
  readonly active?: string;
  /** That run, as long as no event of it has come: it has a slot, and its work has not begun. */
  readonly starting?: string;
  readonly queue: readonly QueuedRun[];
  /** Why the last run failed; gone when the next one starts. */
  readonly failure?: { readonly runId: string; readonly code: string; readonly message: string };
  /** For what the active run waits, by its last event: `busy` (the model accepts no request until then), `thinking`, `trying_another_model`. */
  readonly waiting?: { readonly why: string; readonly untilMs?: number };
  /** How far the calls without a result are, by the call's id. */
  readonly progress: ReadonlyMap<string, CallProgress>;
  /** The servers whose tools are missing from the last run. */
  readonly sources: readonly MissingSource[];
  /** The last run was stopped; gone when the next one starts. */
  readonly stopped: boolean;
  /** The open interrupts: the thread accepts a run only with responses to all of them. */
  readonly interrupts: readonly Interrupt[];
  /** Older messages exist. */
  readonly more: boolean;
  /** The user has deleted the thread, here or in another window. */
  readonly deleted?: boolean;
}

/** Called with each event as it is applied, once each and in order. */
export type OnEvent = (event: AgentEvent, runId: string, seq: number) => void;

/** A run that has begun and not ended. */
export interface RunningRun {
  readonly runId: string;
  /** The messages before it, and its events so far from RUN_STARTED on. */
  readonly before: readonly Message[];
  readonly events: readonly AgentEvent[];
}
