import { Answers } from "./answers.ts";
import { decodeServer, encodeClient } from "./codec.ts";
import type { Accepted, Done, ErrorFrame, Events, Message, Pong, Ready, Rejected, Resume, ServerFrame, Snapshot } from "./frames.ts";
import { Outbox } from "./outbox.ts";
import { Parts } from "./parts.ts";
import type { Port, Status } from "./port.ts";
import type { PendingRun, Plain } from "./requests.ts";
import { Schedule } from "./schedule.ts";
import type { ThreadList } from "./threadlist.ts";
import { Standing } from "./standing.ts";
import type { ThreadState } from "./state.ts";
import type { ThreadView } from "./thread.ts";
import { Views } from "./views.ts";
import type { Notice } from "./views.ts";

/**
 * The client's side of carrel.v1 as a pure state machine: sockets, frames and the time go in, frames come out of the
 * port. All times are ms since the epoch; `due` says when `tick` must be called next.
 */
export class Session {
  readonly #port: Port;
  readonly #views: Views;
  readonly #parts = new Parts();
  readonly #at: Schedule;
  readonly #out: Outbox;
  readonly #answers: Answers;
  /** The highest n of a ready or snapshot on this socket. */
  #answeredN = 0;
  /** Something was lost that only the next ready makes good. */
  #missed = false;
  readonly #standing = new Standing();

  /** random gives [0, 1], for jitter. */
  constructor(port: Port, random: () => number) {
    this.#port = port;
    this.#at = new Schedule(random);
    this.#views = new Views((...event) => port.event?.(...event));
    this.#out = new Outbox(this.#at, (text) => port.send(text), () => this.#views.where());
    this.#answers = new Answers(this.#out, this.#views, this.#at, (...answer) => port.answered?.(...answer));
  }

  get gone(): "closing" | "erased" | undefined { return this.#standing.gone; }
  get erased(): boolean { return this.#standing.erased; }
  get online(): boolean { return this.#at.online; }
  get status(): Status { return this.#standing.status; }
  get notices(): readonly Notice[] { return this.#views.notices; }
  get list(): ThreadList { return this.#views.list; }
  /** What the open thread shows; undefined if none is known yet. */
  get thread(): ThreadState | undefined {
    const state = this.#views.current?.state(this.#out.requests.sending(this.#views.open), this.#at.asked || this.status !== "ready");
    return state && this.list.isDeleted(state.threadId) ? { ...state, deleted: true } : state;
  }
  /** The runs of the open thread that have no answer yet. */
  get sending(): readonly string[] {
    return this.#out.requests.sending(this.#views.open).map((run) => run.runId);
  }
  /** The view of the open thread. */
  get view(): ThreadView | undefined { return this.#views.current; }
  due(): number | undefined { return this.#at.due(this.#parts.due()); }

  /** Asks for the first socket. */
  start(now: number): void {
    this.#at.connectAt(now);
    this.tick(now);
  }

  /** A socket is open: say hello and repeat what was not answered. */
  connected(now: number): void {
    this.#at.connected(now);
    this.#standing.connected();
    this.#answeredN = 0;
    this.#parts.clear();
    this.#views.connected();
    this.#out.begin(now);
    this.#watch(now);
  }

  /** The socket in use is gone. */
  lost(now: number): void {
    this.#parts.clear();
    this.#at.lost(now);
    this.#standing.lost();
    if (this.#standing.stays) this.#at.stop();
  }

  /** An attempt to open a socket has failed; the one in use, if any, is not affected. */
  refused(now: number): void {
    if (this.#at.online) this.#at.renewLater(now);
    else this.#at.refused(now);
    if (!this.#at.online) this.#standing.lost();
    if (this.#standing.stays) this.#at.stop();
  }

  /** The page became visible or the network returned. */
  wake(now: number): void {
    if (this.status === "closing" || this.#standing.forgetting) return;
    this.#used(now);
    if (this.#at.online && this.#at.mayPing) this.#out.ping(now);
    if (!this.#at.online) this.start(now);
  }

  /** Shows another thread. */
  open(threadId: string, now: number): void {
    this.#used(now);
    if (threadId === this.#views.open || this.#standing.forgetting) return;
    this.#views.open = threadId;
    this.#missed = false;
    this.#out.requests.adopt(threadId);
    if (this.#at.online) this.#out.hello(now);
    this.#out.runs(now);
    this.#watch(now);
  }

  /** Asks for a run in the open thread, or in the one that it answers. Throws if it is too long to be sent. */
  run(runId: string, messages: readonly Message[], now: number, answers?: { threadId: string; resume: readonly Resume[] }): void {
    const run: PendingRun = { runId, threadId: this.#views.open, messages, ...answers };
    encodeClient({ type: "run", n: 1_000_000, requestId: `run.${runId}`, ...run, threadId: run.threadId ?? "" });
    this.#asks(now);
    this.#out.requests.addRun(run);
    this.#out.runs(now);
    this.#watch(now);
  }

  /** Ends a run. One that was not sent yet is only taken back: false. */
  cancel(runId: string, now: number): boolean {
    const run = this.#out.requests.run(runId);
    if (run && !run.frame) {
      this.#answers.run(runId, { type: "ended", runId, threadId: run.threadId ?? "", status: "cancelled" }, now);
      return false;
    }
    this.ask({ type: "cancel", requestId: `cancel.${runId}`, runId }, now);
    return true;
  }

  /** Asks something that is answered once; the answer comes by `Port.answered`. */
  ask(request: Plain, now: number): void {
    this.#asks(now);
    if (request.type === "threads") this.list.asked(request.requestId);
    this.#out.ask(request);
  }

  /** Takes the notices away: the person has seen them. */
  dismiss(): void {
    this.#views.notices = [];
  }

  /** Takes one text frame of the server. Throws if it is not one; the socket lives on. */
  receive(text: string, now: number): void {
    const frame = decodeServer(text);
    if (frame) this.#frame(frame, now);
    this.#watch(now);
  }

  /** Does what is due at this time. */
  tick(now: number): void {
    if (this.#parts.expire(now)) this.#missed = true;
    this.#watch(now);
    const due = this.#at.take(now);
    if (due.has("lost")) return this.#giveUp(now);
    if (due.has("connect")) this.#port.connect();
    if (due.has("repeat")) this.#out.repeat(now);
    if (due.has("gap") && !this.#at.asked) this.#out.hello(now);
    if (due.has("ping")) this.#out.ping(now);
  }

  #frame(frame: ServerFrame, now: number): void {
    switch (frame.type) {
      case "": return this.#at.mayNotHaveArrived(now);
      case "part": {
        this.#at.progress(now, false);
        const whole = this.#parts.add(frame, now);
        const joined = whole === undefined ? undefined : decodeServer(whole);
        return joined && this.#frame(joined, now);
      }
      case "ready": return this.#ready(frame, now);
      case "snapshot": return this.#snapshot(frame, now);
      case "events": return this.#events(frame, now);
      case "pong": return this.#pong(frame, now);
      case "accepted": return frame.state === "closing" ? this.#forgets(frame) : this.#answers.accepted(frame, now);
      case "rejected": return frame.code === "closing" ? this.#close(frame, now) : this.#answers.refused(frame.runId, frame, now);
      case "ended": return this.#answers.ended(frame, now);
      case "thread": return frame.deleted ? this.#deleted(frame.threadId, now) : this.#answers.rows([frame], now, this.status === "ready");
      case "threads":
        this.#answers.rows(frame.threads, now, this.status === "ready", frame);
        return this.#answers.plain(frame.requestId ?? "threads", frame);
      case "done":
        if (frame.threadId === undefined) return this.#close(frame, now);
        if (frame.requestId?.startsWith("delete.")) this.#deleted(frame.threadId, now);
        return this.#answers.done(frame.threadId, frame);
      case "runs": return this.#answers.runs(frame);
      case "history":
        this.#views.of(frame.threadId).history(frame);
        return this.#answers.plain(frame.requestId ?? "history", frame);
      case "error": return this.#error(frame, now);
    }
  }

  #ready(frame: Ready, now: number): void {
    if (frame.n < this.#answeredN) return;
    this.#answeredN = frame.n;
    this.#standing.ready();
    this.#at.readied(frame.n, now, frame.reconnectBy);
    this.#answers.heard();
    this.#views.open ??= frame.threadId;
    if (frame.threadId !== this.#views.open) return;
    this.#missed = false;
    if (this.#views.of(frame.threadId).ready(frame)) this.#at.progress(now, true);
    this.#out.requests.adopt(frame.threadId);
    for (const run of [frame.active, ...(frame.waiting ?? [])]) if (run) this.#answers.run(run.runId, frame, now);
    this.#answers.seen(frame, now);
    this.#out.runs(now);
  }

  #snapshot(frame: Snapshot, now: number): void {
    if (frame.n < this.#answeredN) return;
    this.#answeredN = frame.n;
    if (frame.threadId === this.#views.open && this.#views.of(frame.threadId).snapshot(frame)) this.#at.progress(now, true);
  }

  #events(frame: Events, now: number): void {
    if (frame.threadId !== this.#views.open) return;
    if (this.#views.of(frame.threadId).events(frame, this.#out.n)) this.#at.progress(now, true);
    this.#answers.seen(frame, now);
  }

  #pong(frame: Pong, now: number): void {
    const lost = this.#at.ponged(now);
    this.#answers.heard();
    if (lost && !this.#out.requests.empty) this.#at.mayNotHaveArrived(now);
    if (frame.threadId === undefined || frame.threadId !== this.#views.open) return;
    const view = this.#views.of(frame.threadId);
    if (!view.pong(frame)) this.#answers.compare(!view.gap && this.status === "ready", frame.interrupted, now);
    else if (!this.#at.asked) this.#out.hello(now);
  }

  #error(frame: ErrorFrame, now: number): void {
    if (frame.code === "replaced") this.#standing.status = "replaced";
    switch (frame.code) {
      case "replaced": case "token_expired": case "unauthorized":
        return this.#giveUp(now);
      case "closing":
        return this.#close(frame, now);
      case "internal":
        return this.#at.mayNotHaveArrived(now);
      case "rate_limited":
        if (frame.retryAfterMs) return this.#at.repeatAfter(now, frame.retryAfterMs);
    }
    this.#answers.error(frame, now);
  }

  /** A thread is gone. The open one is asked for once more, which empties it. */
  #deleted(threadId: string, now: number): void {
    if (this.list.delete(threadId) && threadId === this.#views.open) this.#out.hello(now);
  }

  /** A forget was accepted: everything else would be refused, so nothing more is sent. */
  #forgets(frame: Accepted): void {
    this.#standing.forgets();
    this.#missed = false;
    this.#at.settled();
    this.#answers.close(frame);
  }

  /** All that the user has is being erased, or (done) was. */
  #close(frame: Rejected | ErrorFrame | Done, now: number): void {
    const erased = frame.type === "done";
    if (!erased && this.#standing.forgetting) return; // that is known, and the done is still to come
    if (erased) this.#views.clear();
    else this.#views.note({ code: frame.code, message: frame.message, ...("runId" in frame && { runId: frame.runId }) });
    this.#answers.close(frame);
    this.#standing.closed(erased);
    this.#giveUp(now);
  }

  #giveUp(now: number): void {
    this.#port.close();
    this.lost(now);
    this.tick(now);
  }

  /** A person asks something. Throws if it would be refused for sure. */
  #asks(now: number): void {
    this.#used(now);
    if (this.#standing.forgetting) throw new Error("Everything that you have here is being deleted.");
  }

  /** A person has used the client. */
  #used(now: number): void {
    if (this.#standing.used()) this.start(now);
  }

  /** Keeps the timers that follow from the state of the open thread. */
  #watch(now: number): void {
    const state = this.thread;
    this.#at.busy(state !== undefined && (state.active !== undefined || state.queue.length > 0), now);
    this.#at.gap(this.#missed || (this.#views.current?.gap ?? false), now);
  }
}
