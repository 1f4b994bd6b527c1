import type { ServerFrame } from "./frames.ts";
import type { OnEvent } from "./state.ts";

/** What the session wants of the world. It is called from within the session's own methods. */
export interface Port {
  /** Sends one frame on the open socket. */
  send(text: string): void;
  /** Opens a socket with a fresh token; an older one stays in use until `connected`. */
  connect(): void;
  /** Closes the open socket. */
  close(): void;
  /** An event was applied to the thread. */
  event?: (threadId: string, ...args: Parameters<OnEvent>) => void;
  /** A request was answered, by a frame or by a refusal. */
  answered?: (requestId: string, frame: ServerFrame) => void;
}

/**
 * Where the connection stands. connecting is until the first `ready` of a socket; closing: all that the user has is
 * being erased, or was.
 */
export type Status = "connecting" | "ready" | "lost" | "replaced" | "closing";
