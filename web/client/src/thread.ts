import { Folder } from "./fold.ts";
import type { Cursor } from "./client-frames.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "./events.ts";
import type { Ended, Events, HistoryPage, Pong, Ready, RunState, Snapshot } from "./server-frames.ts";
import { Headers } from "./headers.ts";
import { Interrupts } from "./interrupts.ts";
import { Reports } from "./reports.ts";
import type { OnEvent, QueuedRun, RunningRun, ThreadState } from "./state.ts";

/** The state of one thread. It implements the client requirements of docs/protocol.md that concern a thread. */
export class ThreadView {
  #cursor: Cursor | undefined;
  #head = 0;
  /** Frames that cannot be applied yet, each with the connection's n at its arrival. */
  #held: { frame: Events; n: number }[] = [];
  /** Epochs before the one of the last `ready`: their frames are dropped. */
  readonly #pastEpochs = new Set<string>();
  /** Set if the epoch comes from an events frame and no later hello has confirmed it. n: as with held frames. */
  #adopted: { n: number } | undefined;
  #doubt = false;
  #fold = new Folder();
  #headers = new Headers();
  #loaded = false;
  #more = false;
  #before: number | undefined;
  #failure: ThreadState["failure"];
  #waiting: ThreadState["waiting"];
  readonly #reports = new Reports();
  #stopped = false;
  #truncated = false;
  readonly #interrupts = new Interrupts();
  /** The run of the applied events that has no terminal event yet. */
  #started: { runId: string; before: readonly Message[]; events: AgentEvent[] } | undefined;
  readonly #begun = new Set<string>();
  /** Ended runs: their end was applied or reported. Of answeredEnded, events may still be on the way. */
  readonly #ended = new Set<string>();
  readonly #answeredEnded = new Set<string>();
  #activeByServer: string | undefined;
  #queuedByServer: readonly RunState[] = [];
  /** Accepted runs of this client. n is the connection's n at that time, so an older `ready` does not remove the run. */
  #accepted: (QueuedRun & { n: number })[] = [];

  constructor(readonly id: string, readonly onEvent: OnEvent = () => {}) {}

  /** The cursor for the next hello; undefined while no event is applied. */
  get cursor(): Cursor | undefined {
    return this.#cursor && this.#cursor.seq > 0 ? this.#cursor : undefined;
  }

  get epoch(): string | undefined {
    return this.#cursor?.epoch;
  }

  /** Notes that the epoch is newer than the hello with n, so that hello's ready may name an older epoch. */
  learned(n: number): void {
    this.#adopted = { n };
  }

  /** Whether events are known to be missing. */
  get gap(): boolean {
    return this.#doubt || this.#held.length > 0 || this.#head > (this.#cursor?.seq ?? 0);
  }

  /** The number of events that are known to be missing. */
  get gapEvents(): number {
    return Math.max(0, this.#head - (this.#cursor?.seq ?? 0));
  }

  /** The user continues in the thread: the notice that events are missing for good has been seen. */
  use(): void {
    this.#truncated = false;
  }

  /** The position for the next `history` request; undefined if there are no older messages. */
  get before(): number | undefined {
    return this.#more ? this.#before : undefined;
  }

  /** A new connection counts n from 0. n is 1 if its hello was sent while the last connection was in use: it may be older than the last frames. */
  connected(n: number): void {
    for (const own of [...this.#accepted, ...this.#held]) own.n = n;
    if (this.#adopted) this.#adopted.n = n;
  }

  /**
   * Handles an events frame. Returns true if it applied at least one new event. n is the connection's n at the arrival
   * of the frame.
   */
  events(frame: Events, n: number): boolean {
    // The first run of a new thread is applied at once: no earlier frame could have its epoch.
    if (!this.#cursor && frame.seq === 1 && !this.#seen(frame.epoch)) {
      this.#cursor = { epoch: frame.epoch, seq: 0 };
      this.#adopted = { n };
    }
    const own = frame.epoch === this.#cursor?.epoch;
    if (!own && this.#pastEpochs.has(frame.epoch)) return false;
    if (own && last(frame) <= this.#cursor!.seq) {
      this.#restated(frame, frame.events.length);
      return false;
    }
    this.#held.push({ frame, n });
    return own && this.#drain();
  }

  /** Handles the answer to a hello. Returns true if it applied held events. */
  ready(frame: Ready): boolean {
    this.#loaded = true;
    this.#doubt = frame.epoch !== this.#cursor?.epoch && this.#adopted !== undefined && this.#adopted.n >= frame.n;
    // The server read the thread before the events of the adopted epoch: a further hello is needed.
    if (this.#doubt) return false;
    this.#adopted = undefined;
    for (const held of this.#held) {
      if (held.frame.epoch !== frame.epoch && held.n < frame.n) this.#pastEpochs.add(held.frame.epoch);
    }
    if (frame.epoch !== this.#cursor?.epoch) this.#restart(frame.epoch);
    this.#held = this.#held.filter((held) => !this.#pastEpochs.has(held.frame.epoch));
    if (frame.epoch) this.#head = Math.max(this.#head, frame.head);
    this.#activeByServer = frame.active?.runId;
    this.#queuedByServer = frame.queued ?? [];
    this.#accepted = this.#accepted.filter((run) => run.n >= frame.n);
    // Events applied beyond this head are newer than the frame.
    if (frame.head >= (this.#cursor?.seq ?? 0)) this.#interrupts.set(frame.interrupts);
    return this.#drain();
  }

  /** Handles a snapshot. Returns false if it is not beyond the cursor, or of another epoch because its `ready` was lost. */
  snapshot(frame: Snapshot): boolean {
    if (frame.epoch !== this.#cursor?.epoch || frame.seq <= this.#cursor.seq) return false;
    if (this.#cursor.seq > 0) this.#truncated = true;
    this.#cursor = { epoch: frame.epoch, seq: frame.seq };
    this.#head = Math.max(this.#head, frame.seq);
    this.#fold = new Folder(frame.messages, frame.runs);
    this.#reports.clear();
    this.#headers = new Headers(frame.runs);
    this.#interrupts.set(frame.interrupts);
    this.#more = frame.more;
    this.#before = frame.before;
    // A snapshot covers only ended runs.
    if (this.#started) this.#end(this.#started.runId);
    this.#drain();
    return true;
  }

  /** Handles a pong. Returns true if a hello is needed at once. */
  pong(frame: Pong): boolean {
    if (frame.epoch !== this.#cursor?.epoch) return true;
    this.#head = Math.max(this.#head, frame.head ?? 0);
    const there = (frame.runs ?? []).filter((r) => r.threadId === this.id && !this.#over(r.runId));
    const shown = [this.#active(), ...this.#queued().map((r) => r.runId)].filter((id) => id !== undefined);
    return there.length !== shown.length || there.some((r) => !shown.includes(r.runId));
  }

  /** Adds a page of older messages before the shown messages. */
  history(frame: HistoryPage): void {
    if (frame.epoch !== undefined && frame.epoch !== this.#cursor?.epoch) return;
    this.#fold = this.#fold.prepend(frame.messages, frame.runs);
    this.#headers.add(frame.runs);
    this.#more = frame.more;
    this.#before = frame.before;
  }

  /** A run was refused because the thread is awaiting input: sets the open interrupts. */
  interrupted(interrupts: readonly Interrupt[]): void {
    this.#interrupts.set(interrupts);
  }

  /** Handles the answer to a run of this client. n is the connection's n. */
  accepted(run: { runId: string; messages: readonly Message[]; resume?: readonly Resume[] }, state: string, n: number): void {
    if (state === "ended") this.#answeredEnded.add(run.runId);
    if (this.#over(run.runId) || this.#begun.has(run.runId)) return;
    this.#accepted = this.#accepted.filter((r) => r.runId !== run.runId);
    this.#accepted.push({ ...run, state: state === "queued" ? "queued" : "starting", n });
  }

  /** Handles the end of a run that never began. */
  endedUnbegun(frame: Pick<Ended, "runId">): void {
    this.#end(frame.runId);
  }

  /** Whether the run's start or end has been seen, so that the run needs no other answer. */
  knows(runId: string): boolean {
    return this.#begun.has(runId) || this.#over(runId);
  }

  /** The run that has started and not ended in the applied events. */
  get running(): RunningRun | undefined {
    return this.#started;
  }

  /** Whether the run's end was applied or reported. */
  hasEnded(runId: string): boolean {
    return this.#ended.has(runId);
  }

  /** The state to show, including the runs that are being sent. helloPending: a hello has no answer yet. */
  state(sending: readonly QueuedRun[] = [], helloPending = false): ThreadState {
    const active = this.#active();
    const unbegun = active !== this.#started?.runId ? active : undefined;
    const starting = this.#accepted.filter((r) => r.state === "starting" && !this.knows(r.runId));
    const queue = [...starting, ...this.#queued(), ...sending.filter((r) => !this.knows(r.runId))];
    return {
      threadId: this.id, loaded: this.#loaded, lagging: helloPending || this.gap, gap: this.gapEvents, messages: this.#fold.messages, runs: this.#headers.of(this.#fold), queue, stopped: this.#stopped, more: this.#more,
      progress: this.#reports.progress, sources: this.#reports.sources,
      interrupts: this.#interrupts.openExcept([...this.#accepted, ...sending]),
      ...(this.#truncated && { truncated: true }), ...(this.#cursor && { cursor: this.#cursor }), ...(active && { active }), ...(unbegun && { starting: unbegun }), ...(this.#failure && { failure: this.#failure }), ...(this.#waiting && { waiting: this.#waiting }),
    };
  }

  /** Whether the run must not be shown as running or queued any more. */
  #over(runId: string): boolean {
    return this.#ended.has(runId) || this.#answeredEnded.has(runId);
  }

  #seen(epoch: string): boolean {
    return this.#pastEpochs.has(epoch) || this.#held.some((held) => held.frame.epoch === epoch);
  }

  /** The active run: by the applied events, else by the server's last report, else by an accepted. */
  #active(): string | undefined {
    if (this.#started && !this.#over(this.#started.runId)) return this.#started.runId;
    const byServer = this.#activeByServer;
    if (byServer && !this.#over(byServer)) return byServer;
    return this.#accepted.find((r) => r.state === "starting" && !this.#over(r.runId))?.runId;
  }

  #queued(): QueuedRun[] {
    const active = this.#active();
    const server = this.#queuedByServer.map((r): QueuedRun => ({ runId: r.runId, state: "queued", messages: r.messages ?? [] }));
    const own = this.#accepted.filter((r) => r.state === "queued" && !server.some((t) => t.runId === r.runId));
    return [...server, ...own.map(({ runId, state, messages }) => ({ runId, state, messages }))]
      .filter((r) => r.runId !== active && !this.knows(r.runId));
  }

  #restart(epoch: string | undefined): void {
    if (this.#cursor) this.#pastEpochs.add(this.#cursor.epoch);
    this.#truncated = epoch !== undefined && this.cursor !== undefined;
    if (epoch) this.#pastEpochs.delete(epoch);
    this.#cursor = epoch ? { epoch, seq: 0 } : undefined;
    this.#head = 0;
    this.#fold = new Folder();
    this.#headers = new Headers();
    this.#more = false;
    this.#before = undefined;
    this.#started = undefined;
    this.#waiting = undefined;
    this.#reports.clear();
    this.#failure = undefined;
    this.#stopped = false;
    this.#interrupts.set();
  }

  /** Applies the held frames that continue at the cursor. Returns true if there were any. */
  #drain(): boolean {
    const cursor = this.#cursor;
    if (!cursor) return false;
    this.#held.sort((a, b) => a.frame.seq - b.frame.seq);
    this.#held = this.#held.filter(({ frame }) => {
      const at = this.#cursor!.seq;
      if (frame.epoch !== cursor.epoch || frame.seq > at + 1) return true;
      this.#restated(frame, at + 1 - frame.seq);
      if (last(frame) > at) this.#apply(frame, at + 1 - frame.seq);
      return false;
    });
    return this.#cursor!.seq > cursor.seq;
  }

  /** The first events of the frame are covered by the cursor. If the run's end is among them, ends the run: a snapshot does not name it. */
  #restated(frame: Events, events: number): void {
    if (frame.events.slice(0, events).some(({ type }) => type === "RUN_FINISHED" || type === "RUN_ERROR")) this.#end(frame.runId);
  }

  #apply(frame: Events, from: number): void {
    for (let i = from; i < frame.events.length; i++) {
      const event = frame.events[i]!;
      const seq = frame.seq + i;
      this.#cursor = { epoch: frame.epoch, seq };
      if (event.type === "RUN_STARTED") this.#begin(frame.runId);
      this.#fold.add(event);
      this.#headers.event(event, frame.runId, seq);
      this.#interrupts.event(event);
      this.#waiting = waitingOf(event);
      this.#reports.event(event);
      this.#started?.events.push(event);
      if (event.type === "RUN_FINISHED" || event.type === "RUN_ERROR") this.#end(frame.runId);
      if (event.type === "RUN_FINISHED") this.#stopped = event.outcome?.type === "cancelled";
      if (event.type === "RUN_ERROR") this.#failure = { runId: frame.runId, code: event.code ?? "", message: event.message ?? "The run failed." };
      this.onEvent(event, frame.runId, seq);
    }
  }

  #begin(runId: string): void {
    this.#begun.add(runId);
    this.#started = { runId, before: this.#fold.messages, events: [] };
    this.#failure = undefined;
    this.#stopped = false;
    this.#accepted = this.#accepted.filter((r) => r.runId !== runId);
  }

  #end(runId: string): void {
    this.#ended.add(runId);
    if (this.#started?.runId === runId) this.#started = undefined;
    this.#accepted = this.#accepted.filter((r) => r.runId !== runId);
  }
}

/** For what a run waits, if its event says so. */
function waitingOf({ name, value }: AgentEvent): ThreadState["waiting"] {
  if (name !== "carrel.waiting" || typeof value !== "object" || value === null) return undefined;
  const { why, untilMs } = value as { readonly why?: unknown; readonly untilMs?: unknown };
  return typeof why === "string" ? { why, ...(typeof untilMs === "number" && { untilMs }) } : undefined;
}

function last(frame: Events): number {
  return frame.seq + frame.events.length - 1;
}
