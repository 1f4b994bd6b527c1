import type { AgentEvent } from "../src/index.ts";
import type { Link } from "./model-net.ts";
import type { Frame, Row, Run, Server } from "./model-server.ts";

/** The emitter's record of one connection. */
interface Subscriber { n: number; threadId: string; listed: boolean; cut: boolean; busy: boolean; queue: Frame[] }

/** Executes a run: it appends events to the thread's log, and posts them to the subscribers. */
export class Worker {
  readonly #server: Server;
  readonly #run: Run;
  readonly #subscribers = new Map<Link, Subscriber>();
  #last: Frame | undefined;
  /** When the last record is posted. */
  #recordAt = 0;
  /** The thread's row at the run's start. */
  #startRow: Frame | undefined;
  /** The last row that a record had, for new subscribers. */
  #row: Frame | undefined;
  #done = false;
  #dead = false;

  constructor(server: Server, run: Run, after = server.world.within(200)) {
    this.#server = server;
    this.#run = run;
    server.world.at(server.world.now + after, () => this.#begin());
  }

  #begin(): void {
    const { world } = this.#server;
    if (this.#run.over) return;
    this.#startRow = this.#server.info(this.#run.thread!);
    this.#list();
    world.at(world.now + 1000, () => this.#timer());
    world.later(this.#run.pause / 2, () => this.#step());
  }

  #timer(): void {
    const { world } = this.#server;
    if (this.#done) return;
    this.#list();
    world.at(world.now + 1000, () => this.#timer());
  }

  #step(): void {
    const run = this.#run;
    const { world } = this.#server;
    if (run.over || this.#dead) return void (this.#done = true);
    const threadId = run.thread!.id;
    const messageId = `a.${run.id}`;
    if (!run.began) {
      run.began = true;
      const { messages, resume } = run.request!;
      const record = this.#append([
        { type: "RUN_STARTED", threadId, runId: run.id, input: { threadId, runId: run.id, messages, ...(resume && { resume }) } },
        { type: "TEXT_MESSAGE_START", messageId, role: "assistant" },
      ]);
      if (record) Object.assign(record, { row: this.#startRow });
    } else if (run.cancel) return this.#end({ type: "cancelled" });
    else if (run.texts++ < run.length) {
      const events: AgentEvent[] = [];
      for (let i = world.within(2); i >= 0; i--) events.push({ type: "TEXT_MESSAGE_CONTENT", messageId, delta: `${threadId}.${run.life!.log.length + events.length} ` });
      this.#append(events);
    } else return this.#end(this.#outcome());
    world.later(run.pause, () => this.#step());
  }

  #outcome(): NonNullable<AgentEvent["outcome"]> {
    const { world } = this.#server;
    if (!world.often(world.traits.questions)) return { type: "success" };
    const interrupts = Array.from({ length: 1 + world.within(1) }, () => ({ id: `i${++this.#server.interrupts}`, reason: "tool_call" }));
    return { type: "interrupt", interrupts };
  }

  /**
   * Stores a record, which is posted later, and returns it. A worker may die between the two; another one then replaces it, and
   * nothing is returned.
   */
  #append(events: AgentEvent[]): Frame | undefined {
    const run = this.#run;
    const { world } = this.#server;
    const life = run.life!;
    const from = life.log.length;
    for (const event of events) life.log.push({ runId: run.id, event });
    const record = life.record(run.thread!.id, from, life.log.length);
    world.note(`${run.thread!.id} ${life.epoch} ${from + 1}–${life.log.length} of ${run.id}`);
    if (world.chance(world.traits.deaths)) {
      world.note(`the worker of ${run.id} dies`);
      this.#done = this.#dead = true;
      for (const tab of world.tabs) tab.noteFault();
      if (!run.over) new Worker(this.#server, run, 20_000);
      return undefined;
    }
    for (const tab of world.tabs) tab.appended(run, life);
    this.#recordAt = Math.max(this.#recordAt, world.now + world.within(20)); // in the order of the log
    world.at(this.#recordAt, () => this.#record(record));
    return record;
  }

  /** Appends the terminal event, and lists the connections one last time. */
  #end(outcome: NonNullable<AgentEvent["outcome"]>): void {
    const run = this.#run;
    const server = this.#server;
    const { id, thread } = run;
    const life = run.life!;
    run.over = this.#done = true;
    const record = this.#append([{ type: "TEXT_MESSAGE_END", messageId: `a.${id}` }, { type: "RUN_FINISHED", threadId: thread!.id, runId: id, outcome }]);
    life.head = life.log.length;
    life.open = outcome.interrupts ?? [];
    life.ends.set(id, life.head);
    server.active = server.active.filter((r) => r !== run);
    server.changed(thread!);
    const alone = !record || server.queued.some((r) => r.thread === thread);
    if (!alone) Object.assign(record, { row: server.info(thread!) });
    server.world.later(60, () => {
      if (!this.#dead) this.#list();
      if (alone) server.broadcastRow(thread!);
      server.next();
    });
  }

  /** Reads the connection rows, and posts to new subscribers what they have missed. */
  #list(): void {
    const rows = this.#server.rows.filter(({ n }) => n > 0);
    for (const row of rows) this.#see(row);
    for (const [link, subscriber] of this.#subscribers) {
      if (!rows.some((row) => row.link === link)) Object.assign(subscriber, { listed: false, queue: [] });
    }
  }

  #see(row: Row): void {
    const own = this.#run.thread!.id;
    const subscriber = this.#subscribers.get(row.link) ?? { n: 0, threadId: "", listed: false, cut: false, busy: false, queue: [] };
    this.#subscribers.set(row.link, subscriber);
    const fresh = !subscriber.listed || (subscriber.cut && row.n > subscriber.n);
    const alreadyWatched = !fresh && subscriber.threadId === own;
    subscriber.listed = true;
    if (fresh) subscriber.cut = false;
    if (!subscriber.cut) Object.assign(subscriber, { n: row.n, threadId: row.threadId });
    const gets = subscriber.threadId === own && !alreadyWatched ? this.#last : undefined;
    if (subscriber.threadId !== own && alreadyWatched) subscriber.queue = [];
    if (gets) this.#push(row.link, subscriber, gets);
    if (fresh && this.#row && !gets?.row) this.#push(row.link, subscriber, this.#row);
  }

  /** Posts a record to the subscribers that watch the thread, and its row to the others. */
  #record(frame: Frame): void {
    this.#last = frame;
    if (frame.row) this.#row = frame.row as Frame;
    for (const { link } of this.#server.rows) {
      const subscriber = this.#subscribers.get(link);
      const part = subscriber?.threadId === frame.threadId ? frame : frame.row as Frame | undefined;
      if (subscriber && part) this.#push(link, subscriber, part);
    }
  }

  #push(link: Link, subscriber: Subscriber, frame: Frame): void {
    if (!subscriber.listed || subscriber.cut) return;
    subscriber.queue.push(frame);
    if (subscriber.busy) return;
    subscriber.busy = true;
    this.#deliver(link, subscriber);
  }

  /** Posts the queued frames of one subscriber one by one. */
  #deliver(link: Link, subscriber: Subscriber): void {
    const frame = subscriber.queue.shift();
    if (!frame) return void (subscriber.busy = false);
    link.post(frame, (ok) => {
      if (!ok) Object.assign(subscriber, { cut: true, queue: [] });
      this.#deliver(link, subscriber);
    });
  }
}
