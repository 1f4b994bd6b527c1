import type { WhenBusy } from "./client-frames.ts";
import type { AgentEvent, Resume } from "./events.ts";
import type { ThreadInfo } from "./server-frames.ts";
import type { Status } from "./port.ts";
import type { ThreadState } from "./state.ts";
import type { Notice } from "./threadviews.ts";

/** As much of a WebSocket as the client needs. */
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
  /** Asked for an access token at each connect. If it throws, the client tries again later. */
  readonly token: () => Promise<string>;
  /** Opens a socket; a browser's WebSocket by default. */
  readonly socket?: (url: string, protocols: string[]) => Socket;
  /** The clock of all timers, in ms. It never goes back, whatever the device's time of day does: `performance.now` by default. */
  readonly elapsed?: () => number;
  readonly random?: () => number;
  readonly id?: () => string;
}

/** Answers to all open interrupts of a thread. */
export interface ThreadResponses {
  readonly threadId: string;
  readonly resume: readonly Resume[];
}

/** How a run is asked for. */
export interface RunOptions {
  /** The agent that answers; the deployment's default one if it is absent, or the one that asked if the run brings answers. */
  readonly agent?: string;
  readonly whenBusy?: WhenBusy;
}

/** All that a page shows. A new object after each change, the same one in between. */
export interface ClientState {
  readonly status: Status | "closed";
  readonly threads: readonly ThreadInfo[];
  readonly moreThreads: boolean;
  readonly thread?: ThreadState;
  /** Refusals, oldest first. */
  readonly notices: readonly Notice[];
  /** All that the user has is being erased, or was. Gone when a server takes the user again. */
  readonly erasure?: "erasing" | "erased";
  /** Why there is no connection, or what cannot be understood, as a sentence for a person. */
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
  /** retryAfterMs: when asking again may succeed, if that is known. */
  constructor(readonly code: string, message: string, readonly retryAfterMs?: number) {
    super(message);
    this.name = "RefusedError";
  }
}
