import { Answers } from "./answers.ts";
import { checkRun, encodeClient } from "./codec.ts";
import type { Agent } from "./server-frames.ts";
import type { RunOptions, ThreadResponses } from "./contract.ts";
import type { Message } from "./events.ts";
import { Inbox } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import type { Port, Status } from "./port.ts";
import type { PendingRun, Plain } from "./requests.ts";
import { Handover } from "./handover.ts";
import { Timers } from "./timers.ts";
import type { ThreadList } from "./threadlist.ts";
import { ConnectionStatus } from "./status.ts";
import type { ThreadState } from "./state.ts";
import type { ThreadView } from "./thread.ts";
import { ThreadViews } from "./threadviews.ts";
import type { Notice } from "./threadviews.ts";

/**
 * The client's side of carrel.v1 as a pure state machine: sockets, frames and the time go in, frames come out of the
 * port. All times are ms since the epoch; `due` says when `tick` must be called next.
 */
export class View {
  readonly #port: Port;
  readonly #views: ThreadViews;
  readonly #timers: Timers;
  readonly #out: Outbox;
  readonly #answers: Answers;
  readonly #in: Inbox;
  readonly #status = new ConnectionStatus();
  /** The next socket, while the old one is still in use. */
  #handover: Handover | undefined;

  /** random returns numbers in [0, 1], for jitter. */
  constructor(port: Port, random: () => number) {
    this.#port = port;
    this.#timers = new Timers(random);
    this.#views = new ThreadViews((...event) => port.event?.(...event));
    this.#out = new Outbox(this.#timers, (text) => port.send(text), () => this.#views.where());
    this.#answers = new Answers(this.#out, this.#views, this.#timers, (...answer) => port.answered?.(...answer));
    this.#in = new Inbox({
      views: this.#views, timers: this.#timers, out: this.#out, answers: this.#answers, status: this.#status, giveUp: (now) => this.#giveUp(now),
    });
  }

  get erasure(): "erasing" | "erased" | undefined { return this.#status.erasure; }
  get erased(): boolean { return this.#status.erased; }
  get online(): boolean { return this.#timers.online; }
  get status(): Status { return this.#status.status; }
  get notices(): readonly Notice[] { return this.#views.notices; }
  get agents(): readonly Agent[] { return this.#in.agents; }
  get list(): ThreadList { return this.#views.list; }
  /** The state of the open thread; undefined if no thread is known yet. */
  get thread(): ThreadState | undefined {
    const state = this.#views.current?.state(this.#out.requests.sending(this.#views.open), this.#timers.helloPending || this.#in.missed || this.status !== "ready");
    return state && this.list.isDeleted(state.threadId) ? { ...state, deleted: true } : state;
  }
  /** The runs of the open thread that have no answer yet. */
  get sending(): readonly string[] {
    return this.#out.requests.sending(this.#views.open).map((run) => run.runId);
  }
  /** The messages that were not sent or may not have arrived, by thread. */
  get unsent(): ReadonlyMap<string, readonly Message[]> { return this.#out.requests.unsent(this.status === "ready"); }
  /** The view of the open thread. */
  get view(): ThreadView | undefined { return this.#views.current; }
  due(): number | undefined { return this.#timers.due(this.#in.due(), this.#handover?.due); }

  /** Requests the first socket. */
  start(now: number): void {
    this.#timers.connectAt(now);
    this.tick(now);
  }

  /** A socket is open and in use from now on: sends hello and the unanswered requests. */
  connected(now: number): void {
    this.#handover = undefined;
    this.#status.connected();
    this.#adopt(now, 0);
    this.#out.begin(now);
    this.#watch(now);
  }

  /**
   * The next socket is open. A socket in use stays in use until the hello of the next one is answered. Call `receiveNext`
   * for the frames of the next one.
   */
  offered(now: number): void {
    if (!this.#timers.online) return this.connected(now);
    if (this.#status.erasing) return this.#port.decline?.();
    this.#handover = new Handover(this.#views.open, now, this.#views.current?.epoch);
    this.#port.sendNext?.(this.#out.handoverHello);
  }

  /** Handles one text message of the offered socket. Throws if it is not a frame. */
  receiveNext(text: string, now: number): void {
    switch (this.#handover?.take(text, now)) {
      case "refused": {
        const { end } = this.#handover!;
        if (end?.code === "signed_out") return this.#in.signedOut(end, now);
        if (end) this.#timers.refusedFor(now, end.retryAfterMs ?? 0);
        return this.#decline(now);
      }
      case "answered": this.#promote(now);
    }
  }

  /** The socket in use is lost. Promotes the next one if it is open. */
  lost(now: number): void {
    this.#in.reset();
    this.#timers.lost(now);
    this.#status.lost();
    if (this.#status.awaitsPerson) this.#stop();
    else if (this.#handover) this.#promote(now);
  }

  /** An attempt to open a socket has failed; the one in use, if any, is not affected. */
  refused(now: number): void {
    this.#handover = undefined;
    if (this.#timers.online) this.#timers.renewLater(now);
    else this.#timers.refused(now);
    if (!this.#timers.online) this.#status.lost();
    if (this.#status.awaitsPerson) this.#stop();
  }

  /** The page became visible or the network returned. */
  wake(now: number): void {
    if (this.status === "erasing" || this.#status.signedOut || this.#status.erasing) return;
    this.#used(now);
    if (this.#timers.online && this.#timers.mayPing) this.#out.ping(now);
    if (!this.#timers.online) this.start(now);
  }

  /** Shows another thread. */
  open(threadId: string, now: number): void {
    this.#used(now);
    if (threadId === this.#views.open || this.#status.erasing) return;
    this.#views.open = threadId;
    this.#in.missed = false;
    this.#out.requests.adopt(threadId);
    if (this.#timers.online) this.#out.hello(now);
    this.#out.runs(now);
    this.#watch(now);
  }

  /** Requests a run in the open thread, or in the thread that it answers. Throws if the frame would be too long. */
  run(runId: string, messages: readonly Message[], now: number, answers?: ThreadResponses, options?: RunOptions): void {
    const run: PendingRun = { runId, threadId: this.#views.open, messages, ...answers, ...(options && { options }) };
    checkRun(run, this.#in.limits);
    encodeClient({ type: "run", n: 1_000_000, requestId: `run.${runId}`, runId, messages, ...answers, ...options, threadId: run.threadId ?? "" });
    this.#beforeRequest(now);
    this.#views.current?.use();
    this.#out.requests.addRun(run);
    this.#out.runs(now);
    this.#watch(now);
  }

  /** Stops a run. A run that was not sent yet is only removed; the result is then false. */
  cancel(runId: string, now: number): boolean {
    const run = this.#out.requests.run(runId);
    if (run && !run.frame) {
      this.#answers.run(runId, { type: "ended", runId, threadId: run.threadId ?? "", status: "cancelled" }, now);
      return false;
    }
    this.ask({ type: "cancel", requestId: `cancel.${runId}`, runId }, now);
    return true;
  }

  /** Sends a request with one answer, which arrives by `Port.answered`. Throws if the frame would be too long. */
  ask(request: Plain, now: number): void {
    encodeClient(request);
    this.#beforeRequest(now);
    if (request.type === "threads") this.list.requested(request.requestId);
    this.#out.ask(request);
  }

  /** Removes the notices: the user has seen them. */
  dismiss(): void {
    this.#views.notices = [];
  }

  /** Handles one text message of the server. Throws if it is not a frame; the socket stays open. */
  receive(text: string, now: number): void {
    this.#in.take(text, now);
    this.#watch(now);
  }

  /** Carries out the actions that are due at this time. */
  tick(now: number): void {
    this.#in.expire(now);
    if (this.#handover && this.#handover.due <= now) this.#decline(now);
    this.#watch(now);
    const due = this.#timers.take(now);
    if (due.has("lost")) return this.#giveUp(now);
    if (due.has("connect")) {
      this.#handover = undefined;
      this.#port.connect();
    }
    if (due.has("repeat")) this.#out.repeat(now);
    if (due.has("gap") && !this.#timers.helloPending) this.#out.hello(now);
    if (due.has("ping")) this.#out.ping(now);
  }

  /** Another socket is in use now. n: 1 if its hello has been sent already, else 0. */
  #adopt(now: number, n: number): void {
    this.#timers.connected(now);
    this.#in.reset();
    this.#views.connected(n);
  }

  /** The offered socket is in use from now on. */
  #promote(now: number): void {
    const { threadId, at, epoch, frames } = this.#handover!;
    this.#handover = undefined;
    if (this.#status.erasing) return this.#port.decline?.();
    this.#port.promote?.();
    if (this.#status.status !== "ready") this.#status.connected();
    this.#adopt(now, 1);
    if (this.#views.current?.epoch !== epoch) this.#views.current?.learned(1);
    this.#timers.helloed(1, at);
    this.#out.resume(now, threadId);
    for (const text of frames) this.receive(text, now);
    this.#watch(now);
  }

  /** Closes the next socket, or ends the attempt to open it. */
  #decline(now: number): void {
    this.#port.decline?.();
    this.refused(now);
  }

  /** Opens no socket until the user acts. */
  #stop(): void {
    this.#timers.stop();
    if (this.#handover) this.#port.decline?.();
    this.#handover = undefined;
  }

  #giveUp(now: number): void {
    this.#port.close();
    this.lost(now);
    this.tick(now);
  }

  /** Called before each request of the user. Throws if the server would refuse the request. */
  #beforeRequest(now: number): void {
    this.#used(now);
    if (this.#status.erasing) throw new Error("Everything that you have here is being deleted.");
    if (this.#status.signedOut) throw new Error("You were signed out. Sign in again.");
  }

  /** Called before each action of the user. */
  #used(now: number): void {
    if (this.#status.used()) this.start(now);
  }

  /** Keeps the timers that follow from the state of the open thread. */
  #watch(now: number): void {
    const state = this.thread;
    this.#timers.busy(state !== undefined && (state.active !== undefined || state.queue.length > 0), now);
    this.#timers.gap(this.#in.missed || (this.#views.current?.gap ?? false), now);
  }
}
