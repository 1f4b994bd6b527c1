import type { Accepted, Done, Ended, ErrorFrame, Rejected, RunPage, ServerFrame, ThreadInfo, ThreadList } from "./server-frames.ts";
import type { Outbox } from "./outbox.ts";
import { threadOf } from "./requests.ts";
import type { Timers } from "./timers.ts";
import type { ThreadViews } from "./threadviews.ts";

/** Called when a request is answered, by a frame or by a refusal. */
export type OnAnswer = (requestId: string, frame: ServerFrame) => void;

/** Removes answered requests from the requests that are repeated. */
export class Answers {
  readonly #out: Outbox;
  readonly #views: ThreadViews;
  readonly #timers: Timers;
  readonly #notify: OnAnswer;

  constructor(out: Outbox, views: ThreadViews, timers: Timers, notify: OnAnswer) {
    this.#out = out;
    this.#views = views;
    this.#timers = timers;
    this.#notify = notify;
  }

  /** An answer has arrived: the retry pause is short again. */
  heard(): void {
    this.#timers.answered(this.#out.requests.empty);
  }

  /** A pending run has its answer: the thread's next run may be sent. */
  run(runId: string, frame: ServerFrame, now: number): void {
    if (!this.#out.requests.settle(runId)) return;
    this.heard();
    this.#notify(`run.${runId}`, frame);
    this.#out.cancel(runId);
    this.#out.runs(now);
  }

  /** The answer to a request other than a run. */
  plain(requestId: string, frame: ServerFrame): void {
    if (!this.#out.requests.answered(requestId)) return;
    this.heard();
    this.#notify(requestId, frame);
  }

  /** A rename or a deletion has its answer. */
  #edited(threadId: string, requestId: string, frame: ServerFrame): void {
    if (this.#out.requests.edit(threadId)?.requestId !== requestId) return;
    this.plain(requestId, frame);
    this.#out.edits(threadId);
  }

  done(threadId: string, frame: Done): void {
    this.#edited(threadId, frame.requestId ?? this.#out.requests.edit(threadId)?.requestId ?? "", frame);
  }

  accepted(frame: Accepted, now: number): void {
    const { runId = "", state } = frame;
    const threadId = frame.threadId ?? this.#views.open;
    if (state === "ended" && threadId !== undefined) this.#views.of(threadId).accepted({ runId, messages: [] }, state, this.#out.n);
    if (frame.requestId?.startsWith("cancel.")) return this.plain(frame.requestId, frame);
    const run = this.#out.requests.run(runId);
    if (run?.threadId !== undefined) this.#views.of(run.threadId).accepted(run, state, this.#out.n);
    this.run(runId, frame, now);
  }

  /** Handles the end of a run that never began. */
  ended(frame: Ended, now: number): void {
    this.#views.of(frame.threadId).endedUnbegun(frame);
    this.plain(`cancel.${frame.runId}`, frame);
    this.run(frame.runId, frame, now);
  }

  /** Handles rows of the list. ready: the connection is ready. */
  rows(rows: readonly ThreadInfo[], now: number, ready: boolean, page?: ThreadList): void {
    const { list, open } = this.#views;
    if (page) list.page(page);
    else list.put(rows);
    const row = rows.find(({ threadId }) => threadId === open);
    const taken = row && list.rows.some(({ threadId, updated }) => threadId === open && updated === row.updated);
    if (taken) this.compare(ready, row.interrupted, now);
  }

  /**
   * The server reports whether the open thread is awaiting input. If the view disagrees, it has missed a frame, and a hello is
   * sent. While a response is on its way the two may differ.
   */
  compare(ready: boolean, interrupted: boolean | undefined, now: number): void {
    const { current, open } = this.#views;
    const sending = this.#out.requests.sending(open);
    if (!ready || !current || this.#timers.helloPending || sending.some(({ resume }) => resume)) return;
    if ((interrupted === true) !== current.state().interrupts.length > 0) this.#out.hello(now);
  }

  runs(frame: RunPage): void {
    this.#edited("", "runs", frame);
  }

  /** Counts a run as answered once its start or end has been seen, even if its `accepted` is lost. The same holds for its cancel. */
  seen(frame: ServerFrame, now: number): void {
    const { runs, plain } = this.#out.requests;
    for (const run of runs) {
      if (run.threadId !== undefined && this.#views.of(run.threadId).knows(run.runId)) this.run(run.runId, frame, now);
    }
    for (const request of plain) {
      if (request.type === "cancel" && this.#views.current?.hasEnded(request.runId)) this.plain(request.requestId, frame);
    }
  }

  refused(runId: string, frame: Rejected | ErrorFrame, now: number): void {
    const { code, message, field, retryAfterMs } = frame;
    const run = this.#out.requests.run(runId);
    // Another device has responded first: these interrupts are open now.
    if (run?.threadId !== undefined && frame.type === "rejected" && code === "interrupted") {
      this.#views.of(run.threadId).interrupted(frame.interrupts ?? []);
    }
    this.#views.note({ code, message, runId, ...(field !== undefined && { field }), ...(retryAfterMs !== undefined && { retryAfterMs, retryAt: now + retryAfterMs }) });
    this.plain(`cancel.${runId}`, { type: "accepted", runId, state: "ended" }); // the run never began
    this.run(runId, frame, now);
  }

  /**
   * All data of the user is being erased, or the sessions were ended. An erase or a sign-out has its answer, and all other
   * requests will never have one.
   */
  close(frame: ServerFrame): void {
    const refusal: ServerFrame = frame.type === "error" || frame.type === "rejected" ? frame
      : { type: "error", code: "erasing", message: "Everything that you have here is being deleted." };
    const answers = new Map<string, ServerFrame>(frame.type === "error" && frame.code === "signed_out"
      ? [["signOut", { type: "done" }]] : [["erase", { type: "accepted", state: "erasing" }]]);
    for (const id of this.#out.requests.clear()) this.#notify(id, answers.get(id) ?? refusal);
  }

  /** Handles an error, with or without a request. */
  error(frame: ErrorFrame, now: number): void {
    const id = frame.requestId ?? "";
    if (id.startsWith("run.")) return this.refused(id.slice(4), frame, now);
    const of = id.startsWith("cancel.") ? { runId: id.slice(7) } : {};
    this.#views.note({ code: frame.code, message: frame.message, ...of, ...(frame.field !== undefined && { field: frame.field }) });
    const edit = this.#out.requests.editOf(id);
    if (!edit) return this.plain(id, frame);
    const threadId = threadOf(edit);
    // The thread was deleted elsewhere.
    if (frame.code === "not_found") this.#views.list.drop(threadId);
    this.#edited(threadId, id, frame);
  }
}
