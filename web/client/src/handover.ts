import { decodeServer } from "./codec.ts";
import type { ErrorFrame } from "./server-frames.ts";
import { Parts } from "./parts.ts";

/** How long the next socket's hello may be without an answer, in ms. */
const ANSWER_WITHIN = 10_000;
/** More than the answer to a hello has. The client requests the rest again. */
const MAX_FRAMES = 256;

/** The next socket while the last one is in use: it is open, and its hello has no answer yet. */
export class Handover {
  /** The frames that it has received, for its promotion. */
  readonly frames: string[] = [];
  readonly #parts = new Parts();
  /** It said that the user's sessions were ended, or that the user sends too many frames. */
  end: ErrorFrame | undefined;

  /** threadId is what its hello named; at, when that was; epoch, that of the view then. */
  constructor(readonly threadId: string | undefined, readonly at: number, readonly epoch: string | undefined) {}

  get due(): number {
    return this.at + ANSWER_WITHIN;
  }

  /** Takes a frame: whether the socket is answered now, or is of no use. */
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
