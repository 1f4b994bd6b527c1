import { View } from "../src/index.ts";
import { Judge } from "./model-judge.ts";
import { Link } from "./model-net.ts";
import type { Message } from "./model-net.ts";
import type { Life, Run } from "./model-server.ts";
import type { World } from "./model.ts";

/** One browser tab of the user: a real View, and the socket that it uses. */
export class Tab {
  readonly view: View;
  link: Link | undefined;
  /** The next socket, which is open and not in use yet, and the messages that arrived on it. */
  #next: Link | undefined;
  #early: Message[] = [];
  #greeted = 0;
  /** The kind of the input that is being handled. */
  kind = "";
  readonly judge: Judge;
  readonly sent: string[] = [];
  #attempt = 0;
  #timer = 0;

  constructor(readonly world: World, readonly name: string, random: () => number) {
    this.judge = new Judge(this);
    this.view = new View({
      send: (text) => this.#send(text),
      connect: () => this.#connect(),
      close: () => this.#close(),
      sendNext: (text) => {
        world.note(`${name} > ${text}`);
        this.#next?.up(text);
      },
      promote: () => this.#promote(),
      decline: () => this.#decline(),
      event: (threadId, _, __, seq) => this.judge.applied(threadId, seq),
    }, random);
  }

  get counts(): { hellos: number; pings: number; connects: number } {
    return this.judge.counts;
  }
  noteFault(): void {
    this.judge.lastFault = this.world.now;
  }

  /** Gives the view one input, and checks the state that it shows then. */
  #do(kind: string, input: (now: number) => void): void {
    const { world, view } = this;
    this.kind = kind;
    input(world.now);
    this.judge.check();
    if (this.judge.pongDiffers) this.judge.requireHello("received a pong that contradicts its interrupts");
    this.judge.pongDiffers = false;
    const timer = ++this.#timer;
    const due = view.due();
    if (due !== undefined) world.at(due, () => { if (timer === this.#timer) this.#do("tick", (now) => view.tick(now)); });
  }

  #send(text: string): void {
    this.world.note(`${this.name} > ${text}`);
    if (!this.link) return;
    this.judge.noteSent(JSON.parse(text) as { type: string; n: number });
    this.link.up(text);
  }

  #close(): void {
    const { link } = this;
    if (!link) return;
    this.judge.checkClose(link);
    link.leave();
    this.link = undefined;
    this.judge.since = this.world.now;
  }

  #decline(): void {
    this.#attempt++;
    if (!this.#next) return;
    this.#next.leave();
    this.#next = undefined;
    this.judge.since = this.world.now;
  }

  /** Makes the next socket the one in use, once its hello is answered or the old socket is lost. */
  #promote(): void {
    this.link?.leave();
    this.link = this.#next;
    this.#next = undefined;
    this.kind = "switch";
    this.world.note(`${this.name} goes on with its next socket`);
    this.judge.fresh();
    this.judge.greeted(this.#greeted);
    for (const message of this.#early) this.judge.noteMessage(message);
    this.#early = [];
  }

  #connect(): void {
    const { world } = this;
    this.#decline();
    const attempt = this.#attempt;
    this.judge.noteAttempt();
    world.note(`${this.name} connects`);
    const fails = world.now < world.down || world.chance(20);
    world.at(world.now + 1 + world.within(99), () => {
      if (attempt !== this.#attempt || this.view.status === "replaced") return;
      this.judge.since = world.now;
      if (fails) this.#do("failed", (now) => this.view.refused(now));
      else this.#opened();
    });
  }

  #opened(): void {
    const { world } = this;
    const link = new Link(this, world.chance(world.traits.slow));
    world.note(`${this.name} is connected (slow: ${link.slow})`);
    world.server.connect(link);
    if (this.link) {
      this.#next = link;
      this.#early = [];
      this.#greeted = world.now;
      return this.#do("offered", (now) => this.view.offered(now));
    }
    this.link = link;
    this.judge.fresh();
    this.#do("opened", (now) => this.view.connected(now));
  }

  lost(link: Link): void {
    if (this.#next === link) {
      link.here = false;
      this.#next = undefined;
      this.judge.since = this.world.now;
      return this.#do("failed", (now) => this.view.refused(now));
    }
    if (this.link !== link) return;
    this.world.note(`${this.name} has lost its socket`);
    link.here = false;
    this.link = undefined;
    this.judge.since = this.world.now;
    this.#do("lost", (now) => this.view.lost(now));
  }

  receive(link: Link, message: Message): void {
    this.world.note(`${this.name} < ${message.text}`);
    if (link === this.#next) {
      this.#early.push(message);
      return this.#do("frame", (now) => this.view.receiveNext(message.text, now));
    }
    if (link !== this.link) return;
    this.judge.noteMessage(message);
    this.#do("frame", (now) => this.view.receive(message.text, now));
  }

  begin(): void {
    this.open(this.world.thread());
    this.#do("start", (now) => this.view.start(now));
  }
  open(id: string): void {
    this.world.note(`${this.name} opens ${id}`);
    const another = this.judge.switches(id);
    this.#do("open", (now) => this.view.open(id, now));
    if (another) this.judge.requireHello(`opened ${id}`);
  }

  /** Sends a run: a text, or the responses to the open interrupts. */
  send(): void {
    const { world, view } = this;
    const runId = world.runId();
    const { interrupts, threadId } = view.thread!;
    const answers = interrupts.length > 0 && !world.chance(20);
    const resume = interrupts.map(({ id }) => ({ interruptId: id, status: "resolved" as const }));
    this.sent.push(runId);
    if (answers) this.judge.answers.add(runId);
    if (answers) for (const { id } of interrupts) this.judge.answering.add(id);
    world.note(`${this.name} sends ${runId} with ${answers ? resume.length : 0} answers`);
    this.#ask((now) => answers ? view.run(runId, [], now, { threadId, resume })
      : view.run(runId, [{ id: `${runId}.1`, role: "user", content: `question ${runId}` }], now));
  }

  cancel(): void {
    const { world, view } = this;
    const all = [...this.judge.shown().queued, ...this.sent];
    let id = this.judge.shown().active;
    if (all.length > 0 && (!id || world.often(50))) id = all[world.within(all.length - 1)]!;
    if (!id) return;
    world.note(`${this.name} stops ${id}`);
    this.#ask((now) => void view.cancel(id, now));
  }
  remove(): void {
    const threadId = this.world.thread();
    this.world.note(`${this.name} deletes ${threadId}`);
    this.#ask((now) => this.view.ask({ type: "delete", requestId: `delete.${threadId}`, threadId }, now));
  }
  threads(): void {
    this.#ask((now) => this.view.ask({ type: "threads", requestId: "threads" }, now));
  }
  wake(): void {
    this.world.note(`${this.name} wakes`);
    this.#do("wake", (now) => this.view.wake(now));
  }
  #ask(what: (now: number) => void): void {
    this.judge.lastAction = this.world.now;
    this.#do("ask", what);
  }

  /** Closes the socket. The client notices within 200 ms. */
  cut(): void {
    const { link, world } = this;
    if (!link) return;
    this.noteFault();
    world.note(`${this.name} is cut off`);
    link.closed = true;
    if (!world.chance(30)) world.server.drop(link);
    world.later(200, () => this.lost(link));
  }

  /** Makes the socket half-open: only silence shows either end that it is dead. */
  half(): void {
    const { link, world } = this;
    if (!link) return;
    this.noteFault();
    world.note(`${this.name} is half-open`);
    link.dead = true;
    if (world.chance(50)) world.later(5000, () => void (link.closed = true));
  }

  appended(run: Run, life: Life): void {
    this.judge.appended(run, life);
  }
  /** Reports whether the tab has shown a run ever since that time, on a socket that was ready by then. */
  knewRun(since: number): boolean {
    return this.judge.knewRun(since);
  }
  checkFinal(): void {
    this.judge.checkFinal();
  }
  checkList(): void {
    this.judge.checkList();
  }
}
