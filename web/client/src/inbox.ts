import type { Answers } from "./answers.ts";
import { decodeServer } from "./codec.ts";
import type { Limits } from "./codec.ts";
import type { Accepted, Agent, Done, ErrorFrame, Events, Pong, Ready, Rejected, ServerFrame, Snapshot, ThreadInfo } from "./server-frames.ts";
import type { Outbox } from "./outbox.ts";
import { Parts } from "./parts.ts";
import type { Timers } from "./timers.ts";
import type { ConnectionStatus } from "./status.ts";
import type { ThreadViews } from "./threadviews.ts";

/** The parts of a view that its inbox uses. */
export interface ViewParts {
  readonly views: ThreadViews;
  readonly timers: Timers;
  readonly out: Outbox;
  readonly answers: Answers;
  readonly status: ConnectionStatus;
  /** Closes the socket in use. */
  readonly giveUp: (now: number) => void;
}

/** Handles the frames of the socket in use. */
export class Inbox {
  readonly #view: ViewParts;
  readonly #parts = new Parts();
  /** The highest n of a ready or snapshot on this socket. */
  #answeredN = 0;
  /** A frame was lost, and only the next ready repairs that. */
  missed = false;
  /** Of the last ready. */
  agents: readonly Agent[] = [];
  /** The limits of the last ready; before it, limits that every server accepts. */
  limits: Limits = { textBytes: 24 * 1024, messages: 8 };

  constructor(view: ViewParts) {
    this.#view = view;
  }

  /** Discards incomplete frames: the socket was lost or replaced. */
  reset(): void {
    this.#answeredN = 0;
    this.#parts.clear();
  }

  /** When an incomplete frame is dropped. */
  due(): number | undefined {
    return this.#parts.due();
  }

  expire(now: number): void {
    if (this.#parts.expire(now)) this.missed = true;
  }

  /** Handles one text message. Throws if it is not a frame; the socket stays open. */
  take(text: string, now: number): void {
    const frame = decodeServer(text);
    if (frame?.type !== "part") return frame && this.#frame(frame, now);
    this.#view.timers.parted(now);
    const whole = this.#parts.add(frame, now);
    if (whole === "bad") this.missed = true;
    else if (whole) this.#frame(whole, now);
  }

  #frame(frame: ServerFrame, now: number): void {
    switch (frame.type) {
      case "": return this.#view.timers.mayNotHaveArrived(now);
      case "part": return; // a part is never split itself
      case "ready": return this.#ready(frame, now);
      case "snapshot": return this.#snapshot(frame, now);
      case "events":
        this.#events(frame, now);
        return frame.row && this.#row(frame.row, now);
      case "pong": return this.#pong(frame, now);
      case "accepted": return frame.state === "erasing" ? this.#eraseAccepted(frame) : this.#view.answers.accepted(frame, now);
      case "rejected": return frame.code === "erasing" ? this.#close(frame, now) : this.#view.answers.refused(frame.runId, frame, now);
      case "ended": return this.#view.answers.ended(frame, now);
      case "thread": return this.#row(frame, now);
      case "threads":
        this.#view.answers.rows(frame.threads, now, this.#view.status.status === "ready", frame);
        return this.#view.answers.plain(frame.requestId ?? "threads", frame);
      case "done":
        if (frame.threadId === undefined) return this.#close(frame, now);
        if (frame.requestId?.startsWith("delete.")) this.#deleted(frame.threadId, now);
        return this.#view.answers.done(frame.threadId, frame);
      case "runs": return this.#view.answers.runs(frame);
      case "history":
        this.#view.views.of(frame.threadId).history(frame);
        return this.#view.answers.plain(frame.requestId ?? "history", frame);
      case "error": return this.#error(frame, now);
    }
  }

  #ready(frame: Ready, now: number): void {
    if (frame.n < this.#answeredN) return;
    this.#answeredN = frame.n;
    this.#view.status.ready();
    this.#view.timers.readied(frame.n, now, frame.reconnectInMs);
    this.limits = { ...this.limits, ...frame.limits };
    this.agents = frame.agents ?? [];
    this.#view.answers.heard();
    this.#view.views.open ??= frame.threadId;
    if (frame.threadId !== this.#view.views.open) return;
    this.missed = false;
    if (this.#view.views.of(frame.threadId).ready(frame)) this.#view.timers.progress(now);
    this.#view.out.requests.adopt(frame.threadId);
    for (const run of [frame.active, ...(frame.queued ?? [])]) if (run) this.#view.answers.run(run.runId, frame, now);
    this.#view.answers.seen(frame, now);
    this.#view.out.runs(now);
  }

  #snapshot(frame: Snapshot, now: number): void {
    if (frame.n < this.#answeredN) return;
    this.#answeredN = frame.n;
    if (frame.threadId === this.#view.views.open && this.#view.views.of(frame.threadId).snapshot(frame)) this.#view.timers.progress(now);
  }

  #events(frame: Events, now: number): void {
    if (frame.threadId !== this.#view.views.open) return;
    // A worker that was frozen while its thread was deleted may still post events.
    const deleted = this.#view.views.list.isDeleted(frame.threadId);
    if (!deleted && this.#view.views.of(frame.threadId).events(frame, this.#view.out.n)) this.#view.timers.progress(now);
    this.#view.answers.seen(frame, now);
  }

  /** Applies one row of the list. */
  #row(row: ThreadInfo & { readonly deleted?: boolean }, now: number): void {
    if (row.deleted) this.#deleted(row.threadId, now);
    else this.#view.answers.rows([row], now, this.#view.status.status === "ready");
  }

  #pong(frame: Pong, now: number): void {
    const lost = this.#view.timers.ponged(now);
    this.#view.answers.heard();
    if (lost && !this.#view.out.requests.empty) this.#view.timers.mayNotHaveArrived(now);
    if (frame.threadId === undefined || frame.threadId !== this.#view.views.open) return;
    const view = this.#view.views.of(frame.threadId);
    if (!view.pong(frame)) this.#view.answers.compare(!view.gap && this.#view.status.status === "ready", frame.interrupted, now);
    else if (!this.#view.timers.helloPending) this.#view.out.hello(now);
  }

  #error(frame: ErrorFrame, now: number): void {
    // During a handover this client may have the user's eleventh connection, and the replaced one may be its own.
    if (frame.code === "replaced" && !this.#view.timers.opening) this.#view.status.status = "replaced";
    switch (frame.code) {
      case "replaced": case "token_expired": case "unauthorized":
        return this.#view.giveUp(now);
      case "erasing":
        return this.#close(frame, now);
      case "signed_out":
        return this.signedOut(frame, now);
      case "internal":
        return this.#view.timers.mayNotHaveArrived(now);
      case "rate_limited":
        return this.#flooded(frame, now);
    }
    this.#view.answers.error(frame, now);
  }

  /** The user's sessions were ended, here or elsewhere: the client sends nothing more with this sign-in. */
  signedOut(frame: ErrorFrame, now: number): void {
    this.#view.views.note({ code: frame.code, message: frame.message });
    this.#view.status.status = "signedOut";
    this.#view.status.erasing = false;
    this.#view.answers.close(frame);
    this.#view.giveUp(now);
  }

  /** The user sends too many frames: the server closes the socket, and accepts no other one before the named time. */
  #flooded({ code, message, retryAfterMs = 0 }: ErrorFrame, now: number): void {
    this.#view.views.note({ code, message, retryAfterMs, retryAt: now + retryAfterMs });
    this.#view.timers.refusedFor(now, retryAfterMs);
    this.#view.giveUp(now);
  }

  /** A thread was deleted. For the open one, sends a hello, whose ready empties the view. */
  #deleted(threadId: string, now: number): void {
    if (this.#view.views.list.delete(threadId) && threadId === this.#view.views.open) this.#view.out.hello(now);
  }

  /** An erase was accepted: everything else would be refused, so nothing more is sent. */
  #eraseAccepted(frame: Accepted): void {
    this.#view.status.eraseAccepted();
    this.missed = false;
    this.#view.timers.settled();
    this.#view.answers.close(frame);
  }

  /** All data of the user is being erased, or (done) was erased. */
  #close(frame: Rejected | ErrorFrame | Done, now: number): void {
    const erased = frame.type === "done";
    if (!erased && this.#view.status.erasing) return; // already known; done is still to come
    if (erased) this.#view.views.clear();
    else this.#view.views.note({ code: frame.code, message: frame.message, ...("runId" in frame && { runId: frame.runId }) });
    this.#view.answers.close(frame);
    this.#view.status.closed(erased);
    this.#view.giveUp(now);
  }
}
