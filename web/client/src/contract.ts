import type { WhenBusy } from "./client-frames.ts";
import type { AgentEvent, Resume } from "./events.ts";
import type { Agent, ThreadInfo } from "./server-frames.ts";
import type { Status } from "./port.ts";
import type { ThreadState } from "./state.ts";
import type { Notice } from "./threadviews.ts";

/** The part of WebSocket that the client uses. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface CarrelOptions {
  /** wss://…/<stage>, without a query. */
  readonly url: string;
  /** Returns an access token; called for each connect. If it throws, the client tries again later. */
  readonly token: () => Promise<string>;
  /** Opens a socket; a browser's WebSocket by default. */
  readonly socket?: (url: string, protocols: string[]) => Socket;
  /** The clock of all timers, in ms. It must never go back, even if the device's time of day does. The default is `performance.now`. */
  readonly elapsed?: () => number;
  readonly random?: () => number;
  readonly id?: () => string;
}

/** Answers to all open interrupts of a thread. */
export interface ThreadResponses {
  readonly threadId: string;
  readonly resume: readonly Resume[];
}

/** The options of a run. */
export interface RunOptions {
  /** The agent of the run. By default: the deployment's default agent, or for a run with responses the agent of the interrupted run. */
  readonly agent?: string;
  readonly whenBusy?: WhenBusy;
}

/** The state that a page shows. It is a new object after each change, and the same object in between. */
export interface ClientState {
  readonly status: Status | "closed";
  readonly threads: readonly ThreadInfo[];
  readonly moreThreads: boolean;
  readonly thread?: ThreadState;
  /** The agents that the user may choose for a run, the default first. Empty if there is only one. */
  readonly agents: readonly Agent[];
  /** Refusals, oldest first. */
  readonly notices: readonly Notice[];
  /** All data of the user is being erased, or was erased. Absent again once a server accepts the user. */
  readonly erasure?: "erasing" | "erased";
  /** Why there is no connection, or which message was invalid, as a sentence for the user. */
  readonly fault?: string;
}

export interface ClientEvent {
  readonly threadId: string;
  readonly runId: string;
  readonly seq: number;
  readonly event: AgentEvent;
}

/** A request that the server refused. */
export class RefusedError extends Error {
  /** retryAfterMs: after that time a retry may succeed, if the time is known. */
  constructor(readonly code: string, message: string, readonly retryAfterMs?: number) {
    super(message);
    this.name = "RefusedError";
  }
}
