import type { ServerFrame } from "./server-frames.ts";
import type { OnEvent } from "./state.ts";

/** The effects of a view. The view calls them from within its own methods. */
export interface Port {
  /** Sends one frame on the open socket. */
  send(text: string): void;
  /** Opens a socket with a new token. It replaces an attempt in progress; a socket in use stays in use. */
  connect(): void;
  /** Closes the socket in use. */
  close(): void;
  /** Sends one frame on the offered socket. */
  sendNext?: (text: string) => void;
  /** Uses the offered socket from now on, and closes the old one. */
  promote?: () => void;
  /** Closes the offered socket. */
  decline?: () => void;
  /** An event was applied to the thread. */
  event?: (threadId: string, ...args: Parameters<OnEvent>) => void;
  /** A request was answered, by a frame or by a refusal. */
  answered?: (requestId: string, frame: ServerFrame) => void;
}

/**
 * The status of the connection. connecting: before the first `ready` of a socket. erasing: all data of the user is being
 * erased, or was erased. signedOut: the user's sessions were ended, and only `connect` with the token of a later sign-in
 * connects again.
 */
export type Status = "connecting" | "ready" | "lost" | "replaced" | "erasing" | "signedOut";
