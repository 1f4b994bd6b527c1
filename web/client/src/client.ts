import type { CarrelOptions, ClientEvent, ClientState, RunOptions, Socket, ThreadResponses } from "./contract.ts";
import type { Message, Resume } from "./events.ts";
import type { HistoryPage, RunPage, ServerFrame, ThreadList } from "./server-frames.ts";
import { timedId, userMessage } from "./ids.ts";
import type { Plain } from "./requests.ts";
import { View } from "./view.ts";
import { Sockets } from "./sockets.ts";
import type { RunningRun } from "./state.ts";
import { FIRST_PAGE, OLDER_PAGE } from "./threadlist.ts";
import { Waiters } from "./waiters.ts";
import { watchPage } from "./wake.ts";

/** A longer timer of a browser fires at once. */
const LONGEST_TIMER = 3_600_000;

/**
 * A connection to Carrel that stays: it reconnects, keeps one thread open and shows each of its events exactly once.
 * `connect` starts it, `close` ends it.
 */
export class CarrelClient {
  readonly #options: Required<CarrelOptions>;
  readonly #sockets: Sockets;
  readonly #view: View;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: ClientEvent) => void>();
  readonly #waiters = new Waiters();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #fault: string | undefined;
  #state: ClientState | undefined;
  #unwatch: () => void = () => {};

  constructor(options: CarrelOptions) {
    this.#options = {
      socket: (url, protocols) => new WebSocket(url, protocols) as Socket,
      elapsed: () => performance.now(), random: () => Math.random(), id: () => timedId(),
      ...options,
    };
    this.#sockets = new Sockets(this.#options, {
      opened: (next) => this.#do(() => this.#opened(next)),
      heard: (data, next) => this.#do(() => this.#heard(data, next)),
      lost: () => this.#do(() => this.#view.lost(this.#now())),
      failed: (why) => this.#do(() => this.#failed(why)),
    });
    this.#view = new View({
      send: (text) => this.#sockets.send(text),
      connect: () => void this.#sockets.connect(),
      close: () => this.#sockets.close(),
      sendNext: (text) => this.#sockets.sendNext(text),
      promote: () => this.#sockets.promote(),
      decline: () => this.#sockets.decline(),
      event: (threadId, event, runId, seq) => {
        for (const listener of this.#eventListeners) listener({ threadId, runId, seq, event });
      },
      answered: (id, frame) => this.#waiters.answered(id, frame),
    }, this.#options.random);
  }

  get state(): ClientState {
    this.#state ??= this.#snapshot();
    return this.#state;
  }

  /** Calls the listener after each change of `state`; returns what ends that. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Calls the listener with each event of a thread as it is applied; returns what ends that. */
  onEvent(listener: (event: ClientEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  /** Starts, or starts again after `replaced`. */
  connect(): void {
    if (!this.#running) this.#unwatch = watchPage(() => this.#do(() => this.#view.wake(this.#now())));
    this.#running = true;
    this.#do(() => this.#view.start(this.#now()));
  }

  /** Ends the connection and refuses what was not answered. */
  close(): void {
    this.#running = false;
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#sockets.close();
    this.#sockets.decline();
    this.#waiters.refuse(new Error("The connection was closed."));
    this.#changed();
  }

  /** Shows a thread, which need not exist yet. */
  open(threadId: string): void {
    this.#do(() => this.#view.open(threadId, this.#now()));
  }

  /** Opens a new thread and returns its id. It exists with its first run. */
  newThread(): string {
    const threadId = `t-${this.#options.id()}`;
    this.open(threadId);
    return threadId;
  }

  /** Asks for a run in the open thread and returns its id. Throws if the text is empty or too long. */
  send(text: string, options?: RunOptions): string {
    const runId = this.#options.id();
    return this.run(runId, [userMessage(runId, 1, text)], undefined, options);
  }

  /**
   * Asks for a run of a chosen id with new user messages, or in the thread that it answers, and returns the id. The id of
   * a message is the run's id, a dot and a number, or an id without a dot that the thread does not have.
   */
  run(runId: string, messages: readonly Message[], answers?: ThreadResponses, options?: RunOptions): string {
    this.#do(() => this.#view.run(runId, messages, this.#now(), answers, options));
    return runId;
  }

  /**
   * Responds to all open interrupts of a thread, perhaps with a new user message, and returns the id of the run. Throws if
   * an interrupt of the open thread has no response, or if the frame would be too long.
   */
  respond(threadId: string, responses: readonly Resume[], text = ""): string {
    const { thread } = this.state;
    const left = thread?.threadId === threadId ? thread.interrupts.filter(({ id }) => !responses.some((r) => r.interruptId === id)) : [];
    if (responses.length === 0 || left.length > 0) throw new Error("Answer every open question.");
    const runId = this.#options.id();
    return this.run(runId, text === "" ? [] : [userMessage(runId, 1, text)], { threadId, resume: responses });
  }

  /**
   * Resolves with the state that the server gave a run when it took it (running, queued or ended), or with "seen" if
   * the run's own events came first. Rejects with a RefusedError if it did not take it.
   */
  async settled(runId: string): Promise<string> {
    const frame = await this.#waiters.of(`run.${runId}`);
    if (frame.type === "accepted") return frame.state;
    return frame.type === "ended" ? "ended" : "seen";
  }

  /** The user messages that did not go out yet, or on a socket that is lost and may not have arrived, by thread. */
  unsent(): ReadonlyMap<string, readonly Message[]> {
    return this.#view.unsent;
  }

  /** The open thread's run that goes on, with its events so far. */
  running(): RunningRun | undefined {
    return this.#view.view?.running;
  }

  /** Whether the end of a run of the open thread has been seen. */
  hasEnded(runId: string): boolean {
    return this.#view.view?.hasEnded(runId) ?? false;
  }

  /** Ends a run. Resolves when that is durable; the run's own end follows as an event. */
  async cancel(runId: string): Promise<void> {
    let asked = false;
    const answer = this.#waiters.of(`cancel.${runId}`);
    this.#do(() => {
      asked = this.#view.cancel(runId, this.#now());
    });
    if (asked) await answer;
    else this.#waiters.drop(`cancel.${runId}`);
  }

  /** Gets the first page of threads, the one used last first, and merges it into `state.threads`. */
  async threads(): Promise<ThreadList> {
    return await this.#ask({ type: "threads", requestId: FIRST_PAGE }) as ThreadList;
  }

  /** Gets the page behind the threads that are here into `state.threads`; undefined if there is none. */
  async olderThreads(): Promise<ThreadList | undefined> {
    const { older } = this.#view.list;
    if (older === undefined) return undefined;
    return await this.#ask({ type: "threads", requestId: OLDER_PAGE, before: older }) as ThreadList;
  }

  /** Gets older messages of the open thread into view; undefined if there are none. */
  async history(limit?: number): Promise<HistoryPage | undefined> {
    const { id: threadId, before } = this.#view.view ?? {};
    if (threadId === undefined || before === undefined) return undefined;
    return await this.#ask({ type: "history", requestId: "history", threadId, before, ...(limit !== undefined && { limit }) }) as HistoryPage;
  }

  /** Gives a thread another title. Resolves when that is durable; the list follows by itself. */
  async rename(threadId: string, title: string): Promise<void> {
    await this.#ask({ type: "rename", requestId: `rename.${threadId}`, threadId, title });
  }

  /** Deletes a thread. Resolves when that is durable; it leaves the lists of all windows. */
  async delete(threadId: string): Promise<void> {
    await this.#ask({ type: "delete", requestId: `delete.${threadId}`, threadId });
  }

  /** Gets a page of the user's runs, ended ones too, newest first; the next page is behind the `before` of this one. */
  async runs(before?: string, limit?: number): Promise<RunPage> {
    return await this.#ask({ type: "runs", requestId: "runs", ...(before !== undefined && { before }), ...(limit !== undefined && { limit }) }) as RunPage;
  }

  /**
   * Erases everything of the user, for ever. Resolves when that is durable and cannot be stopped; `state.erasure` has the
   * progress.
   */
  async erase(): Promise<void> {
    await this.#ask({ type: "erase", requestId: "erase", confirm: true });
  }

  /**
   * Ends all sessions of the user, on every device, and with cancelRuns all runs. Resolves when that is done: `state.status`
   * says signedOut then, and only a client with the token of a later sign-in can connect.
   */
  async signOut(cancelRuns = false): Promise<void> {
    await this.#ask({ type: "signOut", requestId: "signOut", everywhere: true, ...(cancelRuns && { cancelRuns }) });
  }

  /** Takes the notices away: the person has seen them. */
  dismiss(): void {
    this.#fault = undefined;
    this.#do(() => this.#view.dismiss());
  }

  #ask(request: Plain): Promise<ServerFrame> {
    const answer = this.#waiters.of(request.requestId);
    this.#do(() => this.#view.ask(request, this.#now()));
    return answer;
  }

  #opened(next: boolean): void {
    this.#fault = undefined;
    if (next) this.#view.offered(this.#now());
    else this.#view.connected(this.#now());
  }

  #failed(why: string | undefined): void {
    this.#fault = why;
    this.#view.refused(this.#now());
  }

  #heard(data: unknown, next: boolean): void {
    try {
      if (typeof data !== "string") throw new Error("a frame of the server is not text");
      if (next) this.#view.receiveNext(data, this.#now());
      else this.#view.receive(data, this.#now());
    } catch (error) {
      this.#fault = `Something came from the server that cannot be understood: ${error instanceof Error ? error.message : String(error)}.`;
    }
  }

  /** Does something with the session, then sets its timer and tells the listeners. */
  #do(what: () => void): void {
    try {
      what();
    } finally {
      this.#schedule();
      this.#changed();
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const due = this.#running ? this.#view.due() : undefined;
    if (due === undefined) return;
    this.#timer = setTimeout(() => this.#do(() => this.#view.tick(this.#now())), Math.min(Math.max(0, due - this.#now()), LONGEST_TIMER));
  }

  #changed(): void {
    this.#state = undefined;
    for (const listener of this.#listeners) listener();
  }

  #snapshot(): ClientState {
    const { thread, list, notices, status, erasure } = this.#view;
    return {
      status: this.#running ? status : "closed", threads: list.rows, moreThreads: list.older !== undefined, notices,
      ...(thread && { thread }), ...(erasure && { erasure }), ...(this.#fault !== undefined && { fault: this.#fault }),
    };
  }

  #now(): number {
    return this.#options.elapsed();
  }
}
