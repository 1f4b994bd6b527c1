import { Folder, Session } from "../src/index.ts";
import type { AgentEvent, Interrupt, Message, Resume } from "../src/index.ts";

/** A generator of numbers that a seed decides (mulberry32). */
export function dice(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Frame = { type: string; n?: number; requestId?: string; runId?: string; messages?: Message[]; resume?: Resume[]; cursor?: { epoch: string; seq: number } };
type Run = { runId: string; messages: Message[]; resume?: Resume[] };

/**
 * A server with one thread, a client, and a network between them that delays, reorders, repeats and loses frames and
 * cuts sockets, all as a seed decides. Time is simulated.
 */
export class Model {
  now = 0;
  /** While false, the network does no harm. */
  hostile = true;
  readonly session: Session;
  /** Every event as the client applied it. */
  readonly applied: { epoch: string; seq: number }[] = [];
  readonly #random: () => number;
  #todo: { at: number; order: number; what: () => void }[] = [];
  #order = 0;
  #socket = 0;
  #live = false;
  #epoch = "e1";
  #log: { runId: string; event: AgentEvent }[] = [];
  /** The transcript's end: snapshots reach to here. */
  #head = 0;
  readonly #known = new Map<string, Run>();
  #queue: Run[] = [];
  #running: Run | undefined;
  /** What the thread asks: it starts nothing but a run that answers. */
  open: Interrupt[] = [];

  constructor(seed: number) {
    this.#random = dice(seed);
    this.session = new Session({
      send: (text) => this.#post(JSON.parse(text) as Frame),
      connect: () => this.#connect(),
      close: () => this.#cut(),
      event: (_, __, ___, seq) => void this.applied.push({ epoch: this.session.view!.cursor!.epoch, seq }),
    }, this.#random);
    this.session.open("t1", 0);
    this.session.start(0);
  }

  /** What the thread holds in truth. */
  get truth(): readonly Message[] {
    const folder = new Folder();
    for (const { event } of this.#log) folder.add(event);
    return folder.messages;
  }
  get busy(): boolean {
    return this.#running !== undefined || this.#queue.length > 0;
  }
  get end(): number {
    return this.#log.length;
  }

  /** Lets time pass. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      this.#todo.sort((a, b) => a.at - b.at || a.order - b.order);
      const due = this.session.due();
      const next = Math.min(this.#todo[0]?.at ?? Infinity, due ?? Infinity);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      if (due !== undefined && due <= this.now) this.session.tick(this.now);
      else this.#todo.shift()!.what();
    }
    this.now = until;
  }

  send(runId: string): void {
    this.session.run(runId, [{ id: `${runId}.q`, role: "user", content: runId }], this.now);
  }

  /** The client answers what it shows, or, as another device, somebody answers what is open. */
  answer(runId: string, elsewhere: boolean): void {
    const { interrupts } = this.session.thread!;
    if (!elsewhere && interrupts.length > 0) this.session.run(runId, [], this.now, { threadId: "t1", resume: interrupts.map(yes) });
    if (elsewhere && this.open.length > 0) this.#admit({ runId, messages: [], resume: this.open.map(yes) });
  }

  /** The thread is deleted and begins a new life. */
  rebirth(): void {
    if (this.busy) return;
    this.#epoch = `e${Math.floor(this.#random() * 1e9)}`;
    this.#log = [];
    this.#head = 0;
    this.open = [];
  }

  /** The socket breaks; the client learns of it later, or never. */
  breakSocket(): void {
    this.#live = false;
    if (this.#chance(0.7)) this.#later(200, this.#onSocket(() => this.session.lost(this.now)));
  }

  #chance(p: number): boolean {
    return this.hostile && this.#random() < p;
  }

  #later(most: number, what: () => void): void {
    this.#todo.push({ at: this.now + Math.floor(this.#random() * most), order: this.#order++, what });
  }

  /** Does nothing once the client has another socket. */
  #onSocket(what: () => void): () => void {
    const socket = this.#socket;
    return () => { if (socket === this.#socket) what(); };
  }

  #connect(): void {
    this.#socket++;
    this.#later(100, this.#onSocket(() => {
      if (this.#chance(0.3)) return this.session.refused(this.now);
      this.#live = true;
      this.session.connected(this.now);
    }));
  }

  #cut(): void {
    this.#socket++;
    this.#live = false;
  }

  /** Client to server: in any order; a frame whose function fails is answered by API Gateway itself, mostly. */
  #post(frame: Frame): void {
    this.#later(this.hostile ? 150 : 5, this.#onSocket(() => {
      if (!this.#live) return;
      const failed = this.#chance(0.1);
      if (!failed || this.#chance(0.5)) this.#take(frame);
      if (failed && !this.#chance(0.2)) this.#deliver({ message: "Internal server error" });
    }));
  }

  /** Server to client by a post, which may fail or be made twice. */
  #say(frame: object): void {
    if (this.#chance(0.1)) return;
    for (let i = this.#chance(0.1) ? 2 : 1; i > 0; i--) this.#deliver(frame);
  }

  #deliver(frame: object): void {
    if (!this.#live) return;
    const text = JSON.stringify(frame);
    this.#later(this.hostile ? 400 : 5, this.#onSocket(() => this.session.receive(text, this.now)));
  }

  #take(frame: Frame): void {
    const { requestId, n } = frame;
    const here = { threadId: "t1", ...(this.#log.length > 0 && { epoch: this.#epoch }) };
    const run = (r: Run, status: string, full: boolean) => ({ runId: r.runId, threadId: "t1", status, ...(full && { messages: r.messages }) });
    if (frame.type === "hello") {
      const recovered = frame.cursor?.epoch === this.#epoch && this.#log.length > 0;
      this.#say({
        type: "ready", requestId, n, connectionId: "c", ...here, head: this.#log.length, recovered,
        ...(this.#running && { active: run(this.#running, "running", false) }), waiting: this.#queue.map((r) => run(r, "waiting", true)), interrupts: this.open,
      });
      if (this.#log.length > 0) this.#replay(n!, recovered ? frame.cursor!.seq : undefined);
    } else if (frame.type === "run") {
      const known = this.#known.has(frame.runId!);
      const answers = (frame.resume ?? []).map(({ interruptId }) => interruptId).join();
      if (!known && answers !== this.open.map(({ id }) => id).join()) {
        return this.#say({ type: "rejected", requestId, runId: frame.runId, code: "interrupted", message: "It asks.", interrupts: this.open });
      }
      if (!known) this.#admit({ runId: frame.runId!, messages: frame.messages!, ...(frame.resume && { resume: frame.resume }) });
      const waits = this.#queue.some((r) => r.runId === frame.runId);
      this.#say({ type: "accepted", requestId, runId: frame.runId, threadId: "t1", state: waits ? "waiting" : this.#running?.runId === frame.runId ? "running" : "ended" });
    } else if (frame.type === "ping") {
      const runs = [...(this.#running ? [run(this.#running, "running", false)] : []), ...this.#queue.map((r) => run(r, "waiting", false))];
      this.#say({ type: "pong", requestId, ...here, head: this.#log.length, runs, interrupted: this.open.length > 0 });
    }
  }

  #replay(n: number, after: number | undefined): void {
    let from = after;
    if (from === undefined) {
      from = this.#head;
      const folder = new Folder();
      for (const { event } of this.#log.slice(0, from)) folder.add(event);
      this.#say({ type: "snapshot", n, threadId: "t1", epoch: this.#epoch, seq: from, messages: folder.messages, interrupts: this.open, more: false });
    }
    for (let seq = from + 1; seq <= this.#log.length; seq++) this.#record(seq);
  }

  #record(seq: number): void {
    const { runId, event } = this.#log[seq - 1]!;
    this.#say({ type: "events", threadId: "t1", epoch: this.#epoch, seq, runId, events: [event] });
  }

  #admit(run: Run): void {
    this.#known.set(run.runId, run);
    if (run.resume) this.open = [];
    if (run.resume) this.#queue.unshift(run);
    else this.#queue.push(run);
    if (!this.#running) this.#next();
  }

  #next(): void {
    const run = this.#running = this.open.length > 0 ? undefined : this.#queue.shift();
    if (!run) return;
    const { runId } = run;
    const m = `${runId}.a`;
    const interrupts = this.#chance(0.3) ? [{ id: `${runId}.i`, reason: "tool_call" }] : [];
    const events: AgentEvent[] = [
      { type: "RUN_STARTED", threadId: "t1", runId, input: { threadId: "t1", ...run } },
      { type: "TEXT_MESSAGE_START", messageId: m, role: "assistant" },
      ...["a", "b", "c", "d"].map((delta) => ({ type: "TEXT_MESSAGE_CONTENT", messageId: m, delta })),
      { type: "TEXT_MESSAGE_END", messageId: m },
      { type: "RUN_FINISHED", threadId: "t1", runId, outcome: interrupts.length > 0 ? { type: "interrupt", interrupts } : { type: "success" } },
    ];
    const step = (): void => {
      this.#log.push({ runId, event: events.shift()! });
      this.#record(this.#log.length);
      if (events.length > 0) return this.#later(300, step);
      this.#head = this.#log.length;
      this.open = interrupts;
      this.#next();
    };
    this.#later(300, step);
  }
}

const yes = ({ id }: Interrupt): Resume => ({ interruptId: id, status: "resolved" });
