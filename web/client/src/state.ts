import type { MessageRun } from "./headers.ts";
import type { Cursor } from "./client-frames.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "./events.ts";

/** A run that is asked for and has no events yet. */
export interface QueuedRun {
  readonly runId: string;
  /** sending: no answer yet; starting: accepted; queued: behind others. */
  readonly state: "sending" | "starting" | "queued";
  readonly messages: readonly Message[];
  /** The answers that it brings. */
  readonly resume?: readonly Resume[];
}

/** What a person sees of one thread. Never changed: a new one is made. */
export interface ThreadState {
  readonly threadId: string;
  /** The server has answered for this thread at least once. */
  readonly loaded: boolean;
  /** Events are missing or may be: a gap, a question that is not answered, or no connection. */
  readonly lagging: boolean;
  /** How many events are known to be missing, and are on their way or will be asked for. */
  readonly gap: number;
  /**
   * Of what happened meanwhile some steps are not shown: the server keeps only the messages of them, or the thread began
   * anew. Gone when the person goes on here.
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
  /** The last run was stopped; gone when the next one starts. */
  readonly stopped: boolean;
  /** What the agent asks and nobody has answered yet: a run goes only with answers to all of it. */
  readonly interrupts: readonly Interrupt[];
  /** Older messages exist. */
  readonly more: boolean;
  /** The user has deleted the thread, here or in another window. */
  readonly deleted?: boolean;
}

/** Told of every event as it is applied, once each and in order. */
export type OnEvent = (event: AgentEvent, runId: string, seq: number) => void;

/** A run that has begun and not ended. */
export interface RunningRun {
  readonly runId: string;
  /** The messages before it, and its events so far from RUN_STARTED on. */
  readonly before: readonly Message[];
  readonly events: readonly AgentEvent[];
}
