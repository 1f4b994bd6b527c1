import { encodeClient } from "./codec.ts";
import type { ClientFrame, Cursor } from "./client-frames.ts";
import { Requests } from "./requests.ts";
import type { PendingRun, Plain } from "./requests.ts";
import type { Timers } from "./timers.ts";

/** The open thread and its cursor. */
export interface Where {
  readonly threadId?: string;
  readonly cursor?: Cursor;
}

/** Sends the frames of a view in their order, and counts this connection's hellos and runs. */
export class Outbox {
  readonly requests = new Requests();
  readonly #timers: Timers;
  readonly #put: (text: string) => void;
  readonly #where: () => Where;
  #n = 0;

  constructor(timers: Timers, put: (text: string) => void, where: () => Where) {
    this.#timers = timers;
    this.#put = put;
    this.#where = where;
  }

  /** The n of this connection's last hello or run. */
  get n(): number {
    return this.#n;
  }

  /** A new socket is in use: sends hello and the unanswered requests. Runs of other threads go first, so the connection ends on the open thread. */
  begin(now: number): void {
    this.#n = 0;
    this.requests.unsend();
    this.#say(now, true);
  }

  /** The hello of the next socket, while this one is in use. */
  get handoverHello(): string {
    return encodeClient({ type: "hello", requestId: "hello.1", n: 1, ...this.#where() });
  }

  /** The next socket, whose hello is answered, is in use now: sends the unanswered requests, and hello if it watches another thread. */
  resume(now: number, threadId: string | undefined): void {
    this.#n = 1;
    this.requests.unsend();
    const moves = this.requests.front().some((run) => !this.#here(run));
    this.#say(now, moves || this.#where().threadId !== threadId);
  }

  hello(now: number): void {
    this.#n++;
    this.#timers.helloed(this.#n, now);
    this.#send({ type: "hello", requestId: `hello.${this.#n}`, n: this.#n, ...this.#where() });
  }

  ping(now: number): void {
    this.#timers.pinged(now, this.requests.empty);
    this.#send({ type: "ping", requestId: "ping", ...this.#where() });
  }

  ask(request: Plain): void {
    if (this.requests.add(request) && this.#timers.online && !this.#early(request)) this.#send(request);
  }

  /** A run has its answer: sends its cancel if there is one. */
  cancel(runId: string): void {
    const cancel = this.requests.plain.find((request) => request.type === "cancel" && request.runId === runId);
    if (cancel && this.#timers.online) this.#send(cancel);
  }

  /** An edit of the thread has its answer: sends the next edit. */
  edits(threadId: string): void {
    const next = this.requests.edit(threadId);
    if (next && this.#timers.online) this.#send(next);
  }

  /** Sends the runs that may be sent now. A run of another thread moves the connection there, and a hello moves it back. */
  runs(now: number): void {
    if (!this.#timers.online) return;
    const next = this.requests.front().filter((run) => !run.frame);
    for (const run of next) this.#run(run);
    if (next.some((run) => !this.#here(run)) && this.#where().threadId !== undefined) this.hello(now);
  }

  /** Repeats the unanswered requests. */
  repeat(now: number): void {
    this.#say(now, this.#timers.helloPending);
    if (this.#timers.pinging) this.#send({ type: "ping", requestId: "ping", ...this.#where() });
  }

  #say(now: number, hello: boolean): void {
    const front = this.requests.front();
    for (const run of front) if (!this.#here(run)) this.#run(run);
    if (hello) this.hello(now);
    for (const run of front) if (this.#here(run)) this.#run(run);
    for (const request of this.requests.plain) if (!this.#early(request)) this.#send(request);
  }

  /** Whether this is a cancel whose run has no answer yet: it must wait, because the server ignores cancels of unknown runs. */
  #early(request: Plain): boolean {
    return request.type === "cancel" && this.requests.run(request.runId) !== undefined;
  }

  #here(run: PendingRun): boolean {
    return run.threadId === this.#where().threadId;
  }

  #run(run: PendingRun): void {
    run.frame ??= {
      type: "run", requestId: `run.${run.runId}`, n: ++this.#n, runId: run.runId, threadId: run.threadId!, messages: run.messages,
      ...(run.resume && { resume: run.resume }), ...run.options,
    };
    this.#send(run.frame);
  }

  #send(frame: ClientFrame): void {
    this.#put(encodeClient(frame));
  }
}
