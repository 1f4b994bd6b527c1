import type { Link, Message } from "./model-net.ts";
import type { Life, Run, Thread } from "./model-server.ts";
import { Pace } from "./model-pace.ts";

/** The limits in ms within which a tab must show appended events. */
const FIRST = 600; // for a run's first record, if the tab watched the thread before
const LIVE = 3000; // without faults
const ROUGH = 9000; // with faults
const HEALED = 31_000; // after the last fault, if the tab knows of a run

export interface Shown { threadId: string; epoch: string; seq: number; active: string; queued: string[]; sending: string[]; interrupts: string[]; lagging: boolean }

/** Checks what one tab shows. Records everything that the tab has received, and when. */
export class Judge extends Pace {
  /** When a fault last affected this tab. */
  lastFault = 0;
  readonly #cursors = new Map<string, { nth: number; seq: number }>();
  readonly #ended = new Set<string>();
  readonly #answered = new Set<string>();
  readonly #ends = new Map<string, { life: Life; seq: number }>();
  readonly #parts = new Map<string, { seen: Set<string>; at: number }>();
  #versions = new Map<string, number>();
  #lastIdle = 0;
  #opening = 0;
  #readyN = 0;
  #restated = 1;
  #epochOf = "";
  #snapshotN = 0;
  #refused = false; // a rejected arrived, whose interrupts may be outdated
  /** The highest reported heads, the runs accepted on this socket (with the n of that time), and the answered interrupts. */
  readonly #heads = new Map<string, { nth: number; seq: number }>();
  readonly #accepts = new Map<string, number>();
  readonly answering = new Set<string>();
  /** Runs that the tab has sent with responses. */
  readonly answers = new Set<string>();

  shown(): Shown {
    const { thread, sending } = this.tab.view;
    return {
      threadId: thread?.threadId ?? "", epoch: thread?.cursor?.seq ? thread.cursor.epoch : "", seq: thread?.cursor?.seq ?? 0, active: thread?.active ?? "",
      queued: thread?.queue.filter(({ state }) => state === "queued").map(({ runId }) => runId) ?? [], sending: [...sending],
      interrupts: thread?.interrupts.map(({ id }) => id) ?? [], lagging: thread?.lagging ?? true,
    };
  }
  get #thread(): Thread {
    return this.tab.world.server.thread(this.tab.view.thread?.threadId ?? "");
  }

  override fresh(): void {
    super.fresh();
    this.#parts.clear();
    this.#accepts.clear();
    this.#readyN = this.#snapshotN = 0;
    this.#restated = 1; // before its first ready
  }

  switches(id: string): boolean {
    if (id === this.tab.view.thread?.threadId) return false;
    this.#opening = this.tab.world.now;
    this.openedAnother();
    return true;
  }

  /** Checks an event that the view gave to its listener: each once and in order. */
  applied(threadId: string, seq: number): void {
    const { world, name, view } = this.tab;
    const epoch = view.view!.cursor!.epoch;
    const life = world.server.thread(threadId).lives.get(epoch)!;
    const was = this.#cursors.get(threadId);
    const last = was?.nth === life.nth ? Math.max(was.seq, this.#epochOf === epoch + threadId ? this.lastApplied : 0) : 0;
    if (seq <= last) world.fail(`${name} applies ${threadId} ${seq} of ${epoch} after ${last}`);
    this.lastApplied = seq;
    this.#epochOf = epoch + threadId;
    const { event, runId } = life.log[seq - 1]!;
    if (event.type === "RUN_FINISHED") this.#ended.add(runId);
    for (const { interruptId } of event.input?.resume ?? []) this.#answered.add(interruptId);
  }
  lastApplied = 0;

  /** Notes a message, and the frame that it completes. */
  noteMessage(message: Message): void {
    const { now } = this.tab.world;
    let whole: Message | undefined = message;
    if (message.of > 1) {
      let part = this.#parts.get(message.post);
      if (!part || part.at + 5000 <= now) this.#parts.set(message.post, part = { seen: new Set(), at: now });
      part.at = now;
      this.#expectRest(message.post, part);
      whole = part.seen.add(message.text).size === message.of ? message : undefined;
      if (whole) this.#parts.delete(message.post);
    }
    const frame = whole?.frame;
    const { id: threadId } = this.#thread;
    if (!message.frame) this.#expectRetry();
    this.notePace(message, frame, threadId, this.shown().sending.length > 0, this.#snapshotN);
    const f = frame as { type: string; interrupted?: boolean; n: number; seq: number; head: number; epoch: string; runId: string; threadId: string; events: { type: string }[]; state: string; requestId?: string } | undefined;
    if (!f) return;
    this.#noteFrame(f, threadId);
    if (f.type === "ready" && f.threadId === threadId) this.#readyN = Math.max(this.#readyN, f.n);
    if (f.type === "snapshot") this.#restated = this.#snapshotN = Math.max(this.#restated, f.n);
    if (f.type === "ended" || (f.type === "accepted" && f.state === "ended")) this.#ended.add(f.runId);
    if (f.type === "events" && f.threadId === threadId && f.events.at(-1)!.type === "RUN_FINISHED") {
      const life = this.#thread.lives.get(f.epoch);
      if (life) this.#ends.set(f.runId, { life, seq: f.seq + f.events.length - 1 });
    }
  }

  /** Compares the state that the tab shows with the server's data and with what the tab has received. */
  check(): void {
    const { world, name, view } = this.tab;
    const s = this.shown();
    if (!s.lagging) this.openedAnother();
    if (!s.active && s.queued.length + s.sending.length === 0) this.#lastIdle = world.now;
    this.#checkCursor(s);
    this.#checkRuns(s);
    this.#checkReported(s);
    for (const id of s.interrupts) if (this.#answered.has(id)) world.fail(`${name} shows the interrupt ${id}, for which it has received a response`);
    const versions = new Map<string, number>();
    for (const { threadId, title } of view.list.rows) {
      const version = Number(title.split(" ")[1]);
      if (version < (this.#versions.get(threadId) ?? 0)) world.fail(`${name} shows ${title} after version ${this.#versions.get(threadId)}`);
      versions.set(threadId, version);
    }
    this.#versions = versions;
  }

  #checkCursor(s: Shown): void {
    const { world, name, view } = this.tab;
    const thread = this.#thread;
    const was = this.#cursors.get(thread.id) ?? { nth: 0, seq: 0 };
    const messages = view.thread?.messages ?? [];
    if (s.epoch === "") {
      if (messages.length > 0) world.fail(`${name} shows ${messages.length} messages of no epoch`);
      if (was.seq > 0 && thread.life?.nth === was.nth) world.fail(`${name} no longer shows the events of ${thread.id}, which still exists`);
      return;
    }
    const life = thread.lives.get(s.epoch);
    if (!life) return world.fail(`${name} shows ${thread.id} in the epoch ${s.epoch}, which the thread never had`);
    if (life.nth < was.nth) world.fail(`${name} shows ${thread.id} in ${s.epoch} after a later epoch`);
    if (life.nth === was.nth && s.seq < was.seq) world.fail(`${name} shows ${thread.id} at ${s.seq} after ${was.seq}`);
    if (s.seq > life.log.length) world.fail(`${name} shows ${thread.id} at ${s.seq}, and its log ends at ${life.log.length}`);
    if (life.nth === was.nth && s.seq === was.seq) return;
    this.noteProgress();
    this.#cursors.set(thread.id, { nth: life.nth, seq: s.seq });
    const have = JSON.stringify(messages);
    if (have !== life.at(s.seq)) world.fail(`${name} shows of ${thread.id} up to ${s.epoch} ${s.seq}\n${have}\nand the log says\n${life.at(s.seq)}`);
  }

  #checkRuns(s: Shown): void {
    const { world, name, sent } = this.tab;
    const life = this.#thread.lives.get(s.epoch);
    for (const run of [s.active, ...s.queued].filter(Boolean)) {
      if (this.#ended.has(run)) world.fail(`${name} shows ${run} as running after it has received its end`);
      const end = this.#ends.get(run);
      if (end && end.life === life && end.seq <= s.seq) world.fail(`${name} shows ${run} as running at cursor ${s.seq}, although it has received its end at ${end.seq}`);
      if (s.lagging || this.#refused || this.#readyN < this.#restated || sent.includes(run)) continue;
      const at = life?.ends.get(run);
      if (at !== undefined && at <= s.seq) world.fail(`${name} shows ${run} as running, although it ended at ${at} and the cursor is ${s.seq}`);
    }
  }

  /** Sets checks that the tab comes to show what was just appended. */
  appended(run: Run, life: Life): void {
    const { world, view, link } = this.tab;
    const s = this.shown();
    if (!link || link.slow || s.threadId !== run.thread!.id || view.status !== "ready") return;
    const row = world.server.row(link);
    if (!s.lagging && row?.threadId === s.threadId && this.lastFault < this.helloed && !link.dead && (s.epoch === life.epoch)) {
      const since = this.helloed;
      this.#expect(run, life, world.fair ? LIVE : ROUGH, () => this.lastFault < since);
      if (world.fair && link.watched + 2000 < world.now && life.log.length > 2 && life.log.at(-3)!.runId !== run.id) {
        this.#expect(run, life, FIRST, () => this.helloed === since);
      }
    }
    const hello = this.helloed;
    if (world.fair && this.out !== 0 && this.lastFault < hello && !link.dead) { // by replay or live: no event is lost between the two
      this.#expect(run, life, LIVE, () => this.lastFault < hello);
    }
    if (!world.fair || (!s.active && s.queued.length + s.sending.length === 0)) return;
    const at = world.now;
    this.#expect(run, life, HEALED, () => this.lastFault < at && this.#lastIdle < at);
  }

  #expect(run: Run, life: Life, within: number, counts: () => boolean): void {
    const { world, link, name, view } = this.tab;
    const to = life.log.length;
    const opening = this.#opening;
    world.at(world.now + within, () => {
      const s = this.shown();
      const left = s.threadId !== run.thread!.id || this.#opening !== opening || run.thread!.life !== life;
      if (left || !counts() || (this.tab.link !== link && within !== HEALED) || view.status === "replaced") return;
      if (s.epoch !== life.epoch || s.seq < to) world.fail(`${name} is only at ${s.epoch} ${s.seq} of ${s.threadId}, ${within} ms after ${life.epoch} ${to} was appended`);
    });
  }

  knewRun(since: number): boolean {
    const s = this.shown();
    const { link } = this.tab;
    return this.#lastIdle < since && this.firstReady > 0 && this.firstReady < since && link !== undefined && !link.slow && (s.active !== "" || s.queued.length + s.sending.length > 0);
  }

  /** Checks that the tab shows the server's data exactly. It holds once nothing changes any more. */
  checkFinal(): void {
    const { world, view, name, link } = this.tab;
    if (view.status === "replaced") {
      if (link) world.fail(`${name} was replaced and still uses a socket`);
      return;
    }
    const thread = this.#thread;
    const { life } = thread;
    const s = this.shown();
    const own = (r: Run): boolean => r.thread === thread;
    const seq = life?.log.length ?? 0;
    const want = [
      "ready", false, seq === 0 ? "" : life!.epoch, seq, world.server.active.find(own)?.id ?? "", world.server.queued.filter(own).map(({ id }) => id), [],
      life?.open.map(({ id }) => id) ?? [], life?.messages(seq) ?? [],
    ];
    const have = [view.status, s.lagging, s.epoch, s.seq, s.active, s.queued, s.sending, s.interrupts, view.thread?.messages ?? []];
    if (JSON.stringify(have) !== JSON.stringify(want)) world.fail(`${name} does not show the final state of ${thread.id}: it shows ${JSON.stringify(have)}, want ${JSON.stringify(want)}`);
  }

  checkList(): void {
    const { world, view, name } = this.tab;
    for (const thread of world.server.threads.values()) {
      const row = view.list.rows.find(({ threadId }) => threadId === thread.id);
      const want = world.server.info(thread).title;
      if (row ? !thread.life || row.title !== want : thread.life && !thread.deleted) world.fail(`${name} lists ${JSON.stringify(row)}, want ${String(want)}`);
    }
  }

  /** Notes the facts that a complete frame reports, unless the view must drop the frame. */
  #noteFrame(f: { type: string; interrupted?: boolean; n: number; seq: number; head: number; epoch: string; runId: string; threadId: string; events: unknown[]; state: string; requestId?: string }, threadId: string): void {
    const s = this.shown();
    if (f.type === "accepted" && f.state !== "ended" && f.requestId === `run.${f.runId}` && s.sending.includes(f.runId)) this.#accepts.set(f.runId, this.n);
    if (f.type === "rejected") this.#refused = true;
    if (f.threadId !== threadId) return;
    if (f.type === "pong" && s.epoch !== "" && s.epoch === f.epoch && !s.lagging && f.head <= s.seq && !s.sending.some((id) => this.answers.has(id))) {
      this.pongDiffers = (f.interrupted === true) !== s.interrupts.length > 0;
    }
    if (f.type === "ready") {
      this.#refused = false;
      if (f.n < Math.max(this.#readyN, this.#snapshotN)) return;
      for (const [run, n] of this.#accepts) if (n < f.n) this.#accepts.delete(run);
    }
    const head = f.type === "events" ? f.seq + f.events.length - 1 : f.type === "ready" || f.type === "pong" ? f.head : 0;
    const life = this.#thread.lives.get(f.epoch);
    if (!head || !life || s.epoch !== f.epoch) return;
    const was = this.#heads.get(threadId);
    if (was?.nth !== life.nth || was.seq < head) this.#heads.set(threadId, { nth: life.nth, seq: head });
  }

  /** Checks that the view shows the facts that frames have reported to it. */
  #checkReported(s: Shown): void {
    const { world, name } = this.tab;
    const thread = this.#thread;
    const life = thread.lives.get(s.epoch);
    if (!life) return;
    const head = this.#heads.get(thread.id);
    if (head?.nth === life.nth && s.seq < head.seq && !s.lagging) world.fail(`${name} is at ${s.seq} of ${thread.id}, has received the head ${head.seq}, and is not marked as lagging`);
    const last = life.log[s.seq - 1]!;
    if (last.event.type !== "RUN_FINISHED" && s.active !== last.runId && !this.#ended.has(last.runId)) {
      world.fail(`${name} shows ${s.active || "nothing"} as running after it has received the start of ${last.runId}`);
    }
    const queue = this.tab.view.thread!.queue.map(({ runId }) => runId);
    for (const id of this.#accepts.keys()) {
      const run = world.server.runs.get(id)!;
      if (run.thread !== thread || run.life !== life || run.over || this.#ended.has(id) || this.#ends.has(id)) continue;
      if (s.active !== id && !queue.includes(id)) world.fail(`${name} does not show ${id}, which was accepted after the last hello`);
    }
    this.#checkInterrupts(s, thread, life);
  }

  /** Checks that the view shows the interrupts of its last event as long as they are open. */
  #checkInterrupts(s: Shown, thread: Thread, life: Life): void {
    const { world, name } = this.tab;
    if (s.lagging || this.#readyN < this.#restated || s.seq !== life.log.length || thread.life !== life || thread.answers) return;
    if (life.open.some(({ id }) => this.answering.has(id)) || !life.log[s.seq - 1]!.event.outcome) return;
    for (const { id } of life.open) if (!s.interrupts.includes(id)) world.fail(`${name} does not show the interrupt ${id}, with which the log of ${thread.id} ends`);
  }

  /** Schedules a check that the tab sends hello if no further part of an incomplete frame arrives. */
  #expectRest(post: string, part: { at: number }): void {
    const { world, link, view } = this.tab;
    const opening = this.#opening;
    const at = part.at;
    world.at(at + 10_300, () => {
      const same = this.#parts.get(post) === part && part.at === at && this.progress <= at + 5000 && this.#parts.size < 8 && this.#opening === opening;
      if (!same || this.tab.link !== link || link!.slow || view.status !== "ready") return;
      if (this.out === 0 && this.helloed < at + 5000 && this.lastReady < at + 5000) world.fail(`${this.tab.name} has not received the rest of a frame in parts, and has not sent hello for it`);
    });
  }

  /** Schedules a check that the tab sends its unanswered frames again, after a frame that means that they may not have arrived. */
  #expectRetry(): void {
    const { world, link, view, name } = this.tab;
    const { sending } = this.shown();
    const { out } = this;
    const { now } = world;
    if (view.status === "connecting" || this.unsure + 60_000 > now || (out === 0 && sending.length === 0)) return;
    world.at(now + 600, () => {
      const waits = (out !== 0 && this.out === out) || (sending.length > 0 && this.shown().sending.join() === sending.join());
      if (this.tab.link === link && waits && this.lastSent < now && this.lastReady < now) world.fail(`${name} has not sent its unanswered frames again`);
    });
  }

  checkClose(link: Link): void {
    const { world, name } = this.tab;
    if (world.fair && !link.dead && !link.closed && !link.slow && this.lastFault + 15_000 < world.now && this.lastError !== world.now) {
      world.fail(`${name} closes a socket that works`);
    }
  }
}
