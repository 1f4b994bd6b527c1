import { Folder } from "../src/index.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "../src/index.ts";
import { Hello } from "./model-hello.ts";
import { Link } from "./model-net.ts";
import { Worker } from "./model-worker.ts";
import type { World } from "./model.ts";

/** A frame of either side, as JSON. */
export type Frame = { readonly type: string; readonly [name: string]: unknown };
export interface Request { type: string; n: number; requestId?: string; runId: string; threadId: string; messages: Message[]; resume?: Resume[]; cursor?: { epoch: string; seq: number } }

/** Runs that run at the same time, and connections of the user. */
const SLOTS = 2;
const MAX_CONNECTIONS = 10;

/** A thread from its creation to its deletion: one epoch. */
export class Life {
  readonly log: { runId: string; event: AgentEvent }[] = [];
  readonly ends = new Map<string, number>();
  /** The last event of the last run that ended, and the last event that retention removed. */
  head = 0;
  floor = 0;
  open: readonly Interrupt[] = [];
  readonly #folded = new Map<number, string>();
  constructor(readonly epoch: string, readonly nth: number) {}

  messages(seq: number): readonly Message[] {
    const folder = new Folder();
    for (const { event } of this.log.slice(0, seq)) folder.add(event);
    return folder.messages;
  }
  at(seq: number): string {
    const json = this.#folded.get(seq) ?? JSON.stringify(this.messages(seq));
    this.#folded.set(seq, json);
    return json;
  }
  record(threadId: string, from: number, to: number): Frame {
    const events = this.log.slice(from, to);
    return { type: "events", threadId, epoch: this.epoch, seq: from + 1, runId: events[0]!.runId, events: events.map(({ event }) => event) };
  }
  records(threadId: string, from: number, to: number): Frame[] {
    const all: Frame[] = [];
    for (let at = from; at < to;) {
      let next = at + 1;
      while (next < to && next < at + 6 && this.log[next]!.runId === this.log[at]!.runId) next++;
      all.push(this.record(threadId, at, next));
      at = next;
    }
    return all;
  }
}

export interface Thread { id: string; life: Life | undefined; lives: Map<string, Life>; version: number; updated: number; deleted: boolean; answers: boolean }
export interface Run { id: string; thread?: Thread; life?: Life; request?: Request; taken: readonly Interrupt[]; began: boolean; over: boolean; cancel: boolean; texts: number; length: number; pause: number }
export interface Row { link: Link; threadId: string; n: number }

/** The stored data of one user, and the functions that serve the client's frames. */
export class Server {
  readonly threads = new Map<string, Thread>();
  readonly runs = new Map<string, Run>();
  active: Run[] = [];
  queued: Run[] = [];
  rows: Row[] = [];
  touched = 0;
  interrupts = 0;
  #epochs = 0;
  constructor(readonly world: World) {}

  get working(): boolean { return this.active.length > 0 || this.queued.some((r) => r.life!.open.length === 0); }
  thread(id: string): Thread {
    const thread = this.threads.get(id) ?? { id, life: undefined, lives: new Map<string, Life>(), version: 0, updated: 0, deleted: false, answers: false };
    this.threads.set(id, thread);
    return thread;
  }
  row(link: Link): Row | undefined { return this.rows.find((row) => row.link === link); }
  drop(link: Link): void {
    this.rows = this.rows.filter((row) => row.link !== link);
  }

  /** Stores a connection. One above MAX_CONNECTIONS replaces the oldest. */
  connect(link: Link): void {
    this.rows.push({ link, threadId: "", n: 0 });
    if (this.rows.length <= MAX_CONNECTIONS) return;
    const old = this.rows.shift()!.link;
    old.post({ type: "error", code: "replaced", message: "There are newer ones." }, () => old.hangUp());
  }

  /** Stores the thread that a connection watches, unless a frame with a higher n has, and returns the stored thread. */
  watch(link: Link, threadId: string, n: number): string {
    let row = this.row(link);
    if (!row) this.rows.push(row = { link, threadId: "", n: 0 });
    if (n > row.n) {
      Object.assign(row, { threadId, n });
      link.watched = this.world.now;
    }
    return row.threadId;
  }

  changed(thread: Thread): void {
    thread.version++;
    this.touched = this.world.now;
    thread.updated = Math.max(thread.updated + 1, Math.floor(this.world.now / 1000));
  }
  info(thread: Thread): Frame {
    const { id, version, updated, life } = thread;
    return {
      type: "thread", threadId: id, title: `${id} ${version}`, status: "idle", created: 1, updated, head: life?.head ?? 0,
      ...(life ? life.open.length > 0 && { interrupted: true } : { deleted: true }),
    };
  }
  broadcast(frame: Frame): void {
    for (const { link, n } of this.rows) if (n > 0) link.post(frame);
  }
  broadcastRow(thread: Thread): void {
    const frame = this.info(thread);
    this.world.later(30, () => this.broadcast(frame));
  }
  states(): Frame[] {
    const state = (r: Run, status: string) => ({ type: "", runId: r.id, threadId: r.thread!.id, status, ...(status === "queued" && { messages: r.request!.messages }) });
    return [...this.active.map((r) => state(r, "running")), ...this.queued.map((r) => state(r, "queued"))];
  }

  /** Serves one frame. With mute the function fails before it posts a reply. */
  serve(link: Link, f: Request, mute: boolean): void {
    const say = (...frames: Frame[]): void => {
      const [first, ...rest] = frames;
      if (!mute && first) link.post(first, (ok) => ok && say(...rest));
    };
    switch (f.type) {
      case "hello": return new Hello(this, f, say).begin(link);
      case "run": {
        const row = this.row(link); // a run changes nothing if the connection watches its thread already
        if (!row?.n || row.threadId !== f.threadId) this.watch(link, f.threadId, f.n);
        return this.world.later(40, () => say(this.#admit(f)));
      }
      case "cancel": return this.#cancel(f, say);
      case "delete": return this.#delete(f, say);
      case "ping": return this.#ping(f, say);
      case "threads": {
        const threads = [...this.threads.values()].filter(({ life }) => life).map((t) => this.info(t)).sort((a, b) => (a.threadId as string) > (b.threadId as string) ? -1 : 1);
        return say({ type: "threads", requestId: f.requestId, threads, more: false });
      }
    }
  }

  /** Runs steps that do not wait for each other, in any order, and then the step after them. */
  together(then: () => void, ...steps: (() => void)[]): void {
    let left = steps.length;
    for (const step of steps) this.world.later(180, () => { step(); if (--left === 0) then(); });
  }

  #ping(f: Request, say: (frame: Frame) => void): void {
    const { life } = this.thread(f.threadId);
    let pong: Frame = { type: "pong", requestId: f.requestId, threadId: f.threadId };
    let end = 0;
    let runs: Frame[] = [];
    this.together(() => say({ ...pong, ...(pong.epoch !== undefined && { head: Math.max(pong.head as number, life && pong.epoch === life.epoch ? end : 0) }), runs }), () => {
      const { life: now } = this.thread(f.threadId);
      if (now) pong = { ...pong, epoch: now.epoch, head: now.head, interrupted: now.open.length > 0 };
    }, () => void (end = life?.log.length ?? 0), () => void (runs = this.states()));
  }

  #admit(f: Request): Frame {
    const { requestId, runId, threadId } = f;
    const thread = this.thread(threadId);
    let run = this.runs.get(runId);
    if (!run && thread.deleted) return { type: "rejected", requestId, runId, code: "not_found", message: "It was deleted." };
    if (!run) {
      const open = thread.life?.open ?? [];
      const given = f.resume ?? [];
      if (given.length !== open.length || given.some((g) => !open.some(({ id }) => id === g.interruptId))) {
        return { type: "rejected", requestId, runId, code: "interrupted", message: "It is awaiting input.", interrupts: open };
      }
      run = this.#take(thread, f);
    }
    return { type: "accepted", requestId, runId, threadId, state: run.over ? "ended" : this.queued.includes(run) ? "queued" : "running" };
  }

  #take(thread: Thread, f: Request): Run {
    const life = thread.life ?? this.#make(thread);
    const pause = this.world.often(this.world.traits.slowRuns) ? 8000 : 400;
    const run: Run = { id: f.runId, thread, life, request: f, taken: life.open, began: false, over: false, cancel: false, texts: 0, length: 1 + this.world.within(9), pause };
    life.open = [];
    this.runs.set(run.id, run);
    if (f.resume) this.queued.unshift(run);
    else this.queued.push(run);
    this.next();
    this.changed(thread);
    if (this.queued.includes(run)) this.broadcastRow(thread);
    return run;
  }

  #make(thread: Thread): Life {
    const life = thread.life = new Life(`e${++this.#epochs}`, this.#epochs);
    thread.lives.set(life.epoch, life);
    return life;
  }

  /** Starts the queued runs that have a free slot and whose thread is idle and not awaiting input. */
  next(): void {
    for (const run of this.queued) { // the loop replaces the array and does not change it
      if (this.active.length >= SLOTS || this.active.some(({ thread }) => thread === run.thread) || run.life!.open.length > 0) continue;
      this.queued = this.queued.filter((r) => r !== run);
      this.active.push(run);
      this.changed(run.thread!);
      new Worker(this, run);
    }
  }

  #cancel({ requestId, runId }: Request, say: (frame: Frame) => void): void {
    const run = this.runs.get(runId);
    if (!run) return say({ type: "accepted", requestId, runId, state: "ended" });
    const queued = this.queued.includes(run);
    const threadId = run.thread?.id;
    if (!run.over && !queued) run.cancel = true;
    say({ type: "accepted", requestId, runId, ...(threadId && { threadId }), state: run.over || queued ? "ended" : "running" });
    if (!queued) return;
    run.over = true;
    this.queued = this.queued.filter((r) => r !== run);
    if (run.taken.length > 0) {
      run.life!.open = run.taken;
      run.thread!.answers = true;
    }
    this.changed(run.thread!);
    this.next();
    this.broadcast({ type: "ended", runId, threadId, status: "cancelled" });
    this.broadcastRow(run.thread!);
  }

  #delete({ requestId, threadId }: Request, say: (frame: Frame) => void): void {
    const thread = this.thread(threadId);
    if (!thread.life) return say({ type: "error", requestId, code: "not_found", message: "The thread does not exist." });
    this.world.note(`${threadId} is deleted`);
    thread.deleted = true;
    this.#end(thread);
    say({ type: "done", requestId, threadId });
    this.broadcastRow(thread);
    this.next();
  }

  #end(thread: Thread): void {
    for (const run of this.runs.values()) if (run.thread === thread) run.over = true;
    this.active = this.active.filter((r) => r.thread !== thread);
    this.queued = this.queued.filter((r) => r.thread !== thread);
    thread.life = undefined;
    this.changed(thread);
  }

  /** Deletes and recreates a thread, and no tab receives a frame about it. The thread then has another epoch. */
  remake(id: string): void {
    const thread = this.thread(id);
    if (!thread.life) return;
    this.#end(thread);
    this.world.note(`${id} is recreated in the epoch ${this.#make(thread).epoch}`);
    this.next();
  }

  /** Applies retention: removes the beginning of a log. */
  trim(id: string): void {
    const { life } = this.thread(id);
    if (life && life.head > life.floor) life.floor += 1 + this.world.within(life.head - life.floor - 1);
  }
}
