import { decodeServer } from "./codec.ts";
import type { ErrorFrame } from "./server-frames.ts";
import { Parts } from "./parts.ts";

/** How long the next socket may wait for the answer to its hello, in ms. */
const ANSWER_WITHIN = 10_000;
/** The most frames that it keeps: more than a hello's answer has. The client requests dropped events again. */
const MAX_FRAMES = 256;

/** The next socket while the last one is in use: it is open, and its hello has no answer yet. */
export class Handover {
  /** The frames that it has received, for its promotion. */
  readonly frames: string[] = [];
  readonly #parts = new Parts();
  /** The error of the socket, if the user's sessions were ended or the user sends too many frames. */
  end: ErrorFrame | undefined;

  /** threadId: the thread in its hello; at: the time of that hello; epoch: the view's epoch at that time. */
  constructor(readonly threadId: string | undefined, readonly at: number, readonly epoch: string | undefined) {}

  get due(): number {
    return this.at + ANSWER_WITHIN;
  }

  /** Handles a frame. "answered": it answers the socket's hello. "refused": the socket cannot be used. */
  take(text: string, now: number): "answered" | "refused" | undefined {
    const first = decodeServer(text);
    const whole = first?.type === "part" ? this.#parts.add(first, now) : first;
    const type = typeof whole === "object" ? whole.type : undefined;
    if (typeof whole === "object" && whole.type === "error" && (whole.code === "signed_out" || whole.code === "rate_limited")) this.end = whole;
    if (type === "error" || type === "") return "refused";
    if (type === "ready" || this.frames.length < MAX_FRAMES) this.frames.push(text);
    return type === "ready" ? "answered" : undefined;
  }
}
