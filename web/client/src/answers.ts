import type { Accepted, Done, ErrorFrame, ServerFrame } from "./frames.ts";
import type { Outbox } from "./outbox.ts";
import type { Schedule } from "./schedule.ts";
import type { Views } from "./views.ts";

/** Told when a request is answered, by a frame or by a refusal. */
export type OnAnswer = (requestId: string, frame: ServerFrame) => void;

/** Takes what answers a request off the list of those that are repeated. */
export class Answers {
  readonly #out: Outbox;
  readonly #views: Views;
  readonly #at: Schedule;
  readonly #told: OnAnswer;

  constructor(out: Outbox, views: Views, at: Schedule, told: OnAnswer) {
    this.#out = out;
    this.#views = views;
    this.#at = at;
    this.#told = told;
  }

  /** Something came that answers: the pause before repeating is short again. */
  heard(): void {
    this.#at.answered(this.#out.requests.empty);
  }

  /** A pending run has its answer: the thread's next one may go. */
  run(runId: string, frame: ServerFrame, now: number): void {
    if (!this.#out.requests.settle(runId)) return;
    this.heard();
    this.#told(`run.${runId}`, frame);
    this.#out.runs(now);
  }

  /** Anything but a run. */
  plain(requestId: string, frame: ServerFrame): void {
    if (!this.#out.requests.answered(requestId)) return;
    this.heard();
    this.#told(requestId, frame);
  }

  /** A rename or a deletion has its answer. */
  #edited(threadId: string, requestId: string, frame: ServerFrame): void {
    if (this.#out.requests.edit(threadId)?.requestId !== requestId) return;
    this.plain(requestId, frame);
    this.#out.edits(threadId);
  }

  done(frame: Done): void {
    this.#edited(frame.threadId, frame.requestId ?? this.#out.requests.edit(frame.threadId)?.requestId ?? "", frame);
  }

  accepted(frame: Accepted, now: number): void {
    if (frame.requestId?.startsWith("cancel.")) return this.plain(frame.requestId, frame);
    const run = this.#out.requests.run(frame.runId);
    if (run?.threadId !== undefined) this.#views.of(run.threadId).accepted(run, frame.state, this.#out.n);
    this.run(frame.runId, frame, now);
  }

  /** A run that is seen to have begun or ended is answered, whatever became of its `accepted`; so is its cancel. */
  seen(frame: ServerFrame, now: number): void {
    const { runs, plain } = this.#out.requests;
    for (const run of runs) {
      if (run.threadId !== undefined && this.#views.of(run.threadId).knows(run.runId)) this.run(run.runId, frame, now);
    }
    for (const request of plain) {
      if (request.type === "cancel" && this.#views.current?.hasEnded(request.runId)) this.plain(request.requestId, frame);
    }
  }

  refused(runId: string, frame: { code: string; message: string } & ServerFrame, now: number): void {
    this.#views.note({ code: frame.code, message: frame.message, runId });
    this.run(runId, frame, now);
  }

  /** An error of a request, or of none. */
  error(frame: ErrorFrame, now: number): void {
    const id = frame.requestId ?? "";
    if (id.startsWith("run.")) return this.refused(id.slice(4), frame, now);
    const of = id.startsWith("cancel.") ? { runId: id.slice(7) } : {};
    this.#views.note({ code: frame.code, message: frame.message, ...of });
    const [, threadId] = /^(?:rename|delete)\.(.*)$/.exec(id) ?? [];
    if (threadId === undefined) return this.plain(id, frame);
    // It was deleted elsewhere.
    if (frame.code === "not_found") this.#views.list.drop(threadId);
    this.#edited(threadId, id, frame);
  }
}
