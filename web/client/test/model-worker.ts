import type { AgentEvent } from "../src/index.ts";
import type { Link } from "./model-net.ts";
import type { Frame, Row, Run, Server } from "./model-server.ts";

interface Outlet { n: number; threadId: string; listed: boolean; cut: boolean; busy: boolean; queue: Frame[] }

/** Runs a run: it appends to its thread's log, and posts what is appended. */
export class Worker {
  readonly #server: Server;
  readonly #run: Run;
  readonly #outlets = new Map<Link, Outlet>();
  #last: Frame | undefined;
  #begun: Frame | undefined;
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
    this.#begun = this.#server.info(this.#run.thread!);
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
      const { messages, resume } = run.asked!;
      this.#append([
        { type: "RUN_STARTED", threadId, runId: run.id, input: { threadId, runId: run.id, messages, ...(resume && { resume }) } },
        { type: "TEXT_MESSAGE_START", messageId, role: "assistant" },
      ]);
    } else if (run.cancel) return this.#end({ type: "cancelled" });
    else if (run.said++ < run.length) {
      const events: AgentEvent[] = [];
      for (let i = world.within(2); i >= 0; i--) events.push({ type: "TEXT_MESSAGE_CONTENT", messageId, delta: `${threadId}.${run.life!.log.length + events.length} ` });
      this.#append(events);
    } else return this.#end(this.#outcome());
    world.later(run.pause, () => this.#step());
  }

  #outcome(): NonNullable<AgentEvent["outcome"]> {
    const { world } = this.#server;
    if (!world.often(world.traits.questions)) return { type: "success" };
    const interrupts = Array.from({ length: 1 + world.within(1) }, () => ({ id: `i${++this.#server.asks}`, reason: "tool_call" }));
    return { type: "interrupt", interrupts };
  }

  /** Makes a record durable and posts it; a worker that dies in between is replaced by another one. */
  #append(events: AgentEvent[]): void {
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
      for (const tab of world.tabs) tab.harm();
      if (!run.over) new Worker(this.#server, run, 20_000);
      return;
    }
    for (const tab of world.tabs) tab.appended(run, life);
    world.later(20, () => this.#record(record));
  }

  /** The terminal append, and the last list after it. */
  #end(outcome: NonNullable<AgentEvent["outcome"]>): void {
    const run = this.#run;
    const server = this.#server;
    const { id, thread } = run;
    const life = run.life!;
    run.over = this.#done = true;
    this.#append([{ type: "TEXT_MESSAGE_END", messageId: `a.${id}` }, { type: "RUN_FINISHED", threadId: thread!.id, runId: id, outcome }]);
    life.head = life.log.length;
    life.open = outcome.interrupts ?? [];
    life.ends.set(id, life.head);
    server.active = server.active.filter((r) => r !== run);
    server.changed(thread!);
    server.world.later(60, () => {
      if (!this.#dead) this.#list();
      server.tellRow(thread!);
      server.next();
    });
  }

  /** Reads the connections and brings news to those that are new. */
  #list(): void {
    const rows = this.#server.rows.filter(({ n }) => n > 0);
    for (const row of rows) this.#see(row);
    for (const [link, outlet] of this.#outlets) {
      if (!rows.some((row) => row.link === link)) Object.assign(outlet, { listed: false, queue: [] });
    }
  }

  #see(row: Row): void {
    const own = this.#run.thread!.id;
    const outlet = this.#outlets.get(row.link) ?? { n: 0, threadId: "", listed: false, cut: false, busy: false, queue: [] };
    this.#outlets.set(row.link, outlet);
    const fresh = !outlet.listed || (outlet.cut && row.n > outlet.n);
    const watched = !fresh && outlet.threadId === own;
    outlet.listed = true;
    if (fresh) outlet.cut = false;
    if (!outlet.cut) Object.assign(outlet, { n: row.n, threadId: row.threadId });
    if (fresh) this.#push(row.link, outlet, this.#begun!);
    if (outlet.threadId !== own) {
      if (watched) outlet.queue = [];
    } else if (!watched && this.#last) this.#push(row.link, outlet, this.#last);
  }

  #record(frame: Frame): void {
    this.#last = frame;
    for (const { link } of this.#server.rows) {
      const outlet = this.#outlets.get(link);
      if (outlet?.threadId === frame.threadId) this.#push(link, outlet!, frame);
    }
  }

  #push(link: Link, outlet: Outlet, frame: Frame): void {
    if (!outlet.listed || outlet.cut) return;
    outlet.queue.push(frame);
    if (outlet.busy) return;
    outlet.busy = true;
    this.#deliver(link, outlet);
  }

  /** Posts what waits for one connection, one after the other. */
  #deliver(link: Link, outlet: Outlet): void {
    const frame = outlet.queue.shift();
    if (!frame) return void (outlet.busy = false);
    link.post(frame, (ok) => {
      if (!ok) Object.assign(outlet, { cut: true, queue: [] });
      this.#deliver(link, outlet);
    });
  }
}
