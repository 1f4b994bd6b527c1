import type { ServerFrame } from "./server-frames.ts";
import type { OnEvent } from "./state.ts";

/** The effects of a view. The view calls them from within its own methods. */
export interface Port {
  /** Sends one frame on the open socket. */
  send(text: string): void;
  /** Opens a socket with a fresh token, in place of one that is being opened; one in use stays so. */
  connect(): void;
  /** Closes the socket in use. */
  close(): void;
  /** Sends one frame on the socket that was `offered`. */
  sendNext?: (text: string) => void;
  /** The socket that was `offered` is the one in use from now on; the last one is closed. */
  promote?: () => void;
  /** Closes the socket that was `offered`. */
  decline?: () => void;
  /** An event was applied to the thread. */
  event?: (threadId: string, ...args: Parameters<OnEvent>) => void;
  /** A request was answered, by a frame or by a refusal. */
  answered?: (requestId: string, frame: ServerFrame) => void;
}

/**
 * Where the connection stands. connecting is until the first `ready` of a socket; erasing: all that the user has is
 * being erased, or was; signedOut: the user's sessions were ended, and only `connect` with the token of a later sign-in
 * brings a connection back.
 */
export type Status = "connecting" | "ready" | "lost" | "replaced" | "erasing" | "signedOut";
