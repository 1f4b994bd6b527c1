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

/** The longest timer of a browser: a longer one fires at once. */
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

  /** Calls the listener after each change of `state`; returns a function that stops it. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Calls the listener with each event of a thread as it is applied; returns a function that stops it. */
  onEvent(listener: (event: ClientEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  /** Connects, also again after `replaced`. */
  connect(): void {
    if (!this.#running) this.#unwatch = watchPage(() => this.#do(() => this.#view.wake(this.#now())));
    this.#running = true;
    this.#do(() => this.#view.start(this.#now()));
  }

  /** Closes the connection and rejects the unanswered requests. */
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

  /** Requests a run in the open thread and returns its id. Throws if the text is empty or too long. */
  send(text: string, options?: RunOptions): string {
    const runId = this.#options.id();
    return this.run(runId, [userMessage(runId, 1, text)], undefined, options);
  }

  /**
   * Requests a run of a chosen id with new user messages, or in the thread that it answers, and returns the id. The id of
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
   * Resolves with the state of a run when the server has accepted it (running, queued or ended), or with "seen" if the run's
   * events arrived first. Rejects with a RefusedError if the server has refused the run.
   */
  async settled(runId: string): Promise<string> {
    const frame = await this.#waiters.of(`run.${runId}`);
    if (frame.type === "accepted") return frame.state;
    return frame.type === "ended" ? "ended" : "seen";
  }

  /** The user messages, by thread, that were not sent yet, or were sent on a lost socket and may not have arrived. */
  unsent(): ReadonlyMap<string, readonly Message[]> {
    return this.#view.unsent;
  }

  /** The active run of the open thread, with its events so far. */
  running(): RunningRun | undefined {
    return this.#view.view?.running;
  }

  /** Whether the end of a run of the open thread has been seen. */
  hasEnded(runId: string): boolean {
    return this.#view.view?.hasEnded(runId) ?? false;
  }

  /** Stops a run. Resolves when the request is stored; the end of the run follows as an event. */
  async cancel(runId: string): Promise<void> {
    let sent = false;
    const answer = this.#waiters.of(`cancel.${runId}`);
    this.#do(() => {
      sent = this.#view.cancel(runId, this.#now());
    });
    if (sent) await answer;
    else this.#waiters.drop(`cancel.${runId}`);
  }

  /** Gets the first page of threads, the one used last first, and merges it into `state.threads`. */
  async threads(): Promise<ThreadList> {
    return await this.#ask({ type: "threads", requestId: FIRST_PAGE }) as ThreadList;
  }

  /** Gets the next page of threads and merges it into `state.threads`; undefined if there is none. */
  async olderThreads(): Promise<ThreadList | undefined> {
    const { older } = this.#view.list;
    if (older === undefined) return undefined;
    return await this.#ask({ type: "threads", requestId: OLDER_PAGE, before: older }) as ThreadList;
  }

  /** Gets older messages of the open thread into its state; undefined if there are none. */
  async history(limit?: number): Promise<HistoryPage | undefined> {
    const { id: threadId, before } = this.#view.view ?? {};
    if (threadId === undefined || before === undefined) return undefined;
    return await this.#ask({ type: "history", requestId: "history", threadId, before, ...(limit !== undefined && { limit }) }) as HistoryPage;
  }

  /** Renames a thread. Resolves when the title is stored; `state.threads` follows without another request. */
  async rename(threadId: string, title: string): Promise<void> {
    await this.#ask({ type: "rename", requestId: `rename.${threadId}`, threadId, title });
  }

  /** Deletes a thread. Resolves when that is stored; the thread disappears from the lists of all windows. */
  async delete(threadId: string): Promise<void> {
    await this.#ask({ type: "delete", requestId: `delete.${threadId}`, threadId });
  }

  /** Gets a page of the user's runs, newest first, including ended ones. Pass its `before` for the next page. */
  async runs(before?: string, limit?: number): Promise<RunPage> {
    return await this.#ask({ type: "runs", requestId: "runs", ...(before !== undefined && { before }), ...(limit !== undefined && { limit }) }) as RunPage;
  }

  /**
   * Erases all data of the user, for ever. Resolves when the request is stored and cannot be stopped any more;
   * `state.erasure` has the progress.
   */
  async erase(): Promise<void> {
    await this.#ask({ type: "erase", requestId: "erase", confirm: true });
  }

  /**
   * Ends all sessions of the user on every device, and with cancelRuns stops all runs. Resolves when that is done. `state.status`
   * is then signedOut, and only a client with the token of a later sign-in can connect.
   */
  async signOut(cancelRuns = false): Promise<void> {
    await this.#ask({ type: "signOut", requestId: "signOut", everywhere: true, ...(cancelRuns && { cancelRuns }) });
  }

  /** Removes the notices: the user has seen them. */
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

  /** Calls the view, then sets its timer and notifies the listeners. */
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
    const { thread, list, notices, status, erasure, agents } = this.#view;
    return {
      status: this.#running ? status : "closed", threads: list.rows, moreThreads: list.older !== undefined, notices, agents,
      ...(thread && { thread }), ...(erasure && { erasure }), ...(this.#fault !== undefined && { fault: this.#fault }),
    };
  }

  #now(): number {
    return this.#options.elapsed();
  }
}
