import { Server } from "./model-server.ts";
import { Tab } from "./model-tab.ts";

/** Returns a generator of pseudo-random numbers for a seed (mulberry32). */
export function dice(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The highest percentage of each fault and action in one schedule. Each one is absent from half of the schedules. */
const WORST = {
  lost: 20, late: 40, twice: 20, broken: 15, parts: 60, functions: 25, deaths: 6, cuts: 12, halves: 12, outages: 5, handovers: 50,
  deletes: 8, retention: 10, switches: 40, cancels: 15, slow: 50, slowRuns: 40, questions: 50,
};
type Traits = typeof WORST & { tabs: number; threads: number };

const MOST_STEPS = 60_000;
/** How many ms a tab that knows of a run may lag after the last fault, and how many more a tab that shows no run. */
const HEALED = 31_000;
const IDLE = 5 * 60_000;

/** A check of a schedule failed. */
export class ScheduleError extends Error {}

/**
 * One schedule of the model that shared/client/testdata/scenarios/README.md describes. The Go client has the same model.
 * Time is simulated and in ms. The seed decides everything that happens.
 */
export class World {
  now = 0;
  /** The faults are off. */
  fair = false;
  /** Until then no socket opens. */
  down = 0;
  readonly traits: Traits;
  readonly server: Server;
  readonly tabs: Tab[] = [];
  readonly notes: string[] = [];
  readonly #random: () => number;
  #todo: { at: number; order: number; action: () => void }[] = [];
  #order = 0;
  #sends = 0;
  readonly #tries = new Map<number, number>();

  constructor(seed: number, readonly verbose = false) {
    const random = this.#random = dice(seed);
    this.server = new Server(this);
    const k = random() * 20;
    const traits: Record<string, number> = { threads: 1 + Math.floor(random() * 3), tabs: k < 1 ? 11 : k < 8 ? 1 : 2 + Math.floor(random() * 2) };
    for (const [name, worst] of Object.entries(WORST)) traits[name] = random() < 0.5 ? 1 + Math.floor(random() * worst) : 0;
    this.traits = traits as Traits;
    for (let i = 0; i < this.traits.tabs; i++) this.tabs.push(new Tab(this, `tab${i + 1}`, dice(seed * 31 + i)));
  }

  /** Draws a fault: true in that percentage of calls, and never once the faults are off. */
  chance(percent: number): boolean {
    return !this.fair && this.often(percent);
  }
  /** Draws an event other than a fault: true in that percentage of calls. */
  often(percent: number): boolean {
    return this.#random() * 100 < percent;
  }
  within(most: number): number {
    return Math.floor(this.#random() * (most + 1));
  }
  thread(): string {
    return `t${1 + Math.floor(this.#random() * this.traits.threads)}`;
  }
  runId(): string {
    return `r${++this.#sends}`;
  }
  fail(why: string): never {
    this.note(why);
    throw new ScheduleError(`at ${this.now}: ${why}`);
  }
  note(line: string): void {
    if (this.verbose) this.notes.push(`${String(this.now).padStart(8)}  ${line}`);
  }
  later(most: number, action: () => void): void {
    this.at(this.now + this.within(most), action);
  }

  at(when: number, action: () => void): void {
    const entry = { at: Math.max(when, this.now), order: this.#order++, action };
    let low = 0;
    let high = this.#todo.length;
    while (low < high) { // in descending order: the next one is last
      const middle = (low + high) >> 1;
      if (this.#todo[middle]!.at > entry.at) low = middle + 1;
      else high = middle;
    }
    this.#todo.splice(low, 0, entry);
    if (this.#order > MOST_STEPS * 2) this.fail("storm: too many events");
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (let next = this.#todo.at(-1); next && next.at <= until; next = this.#todo.at(-1)) {
      this.#todo.pop();
      this.now = next.at;
      next.action();
    }
    this.now = until;
  }

  play(): void {
    for (const tab of this.tabs) tab.begin();
    for (let i = 30 + this.within(40); i > 0; i--) {
      this.pass(this.within(2500));
      this.#anything();
    }
    this.note("the faults are off");
    this.fair = true;
    this.down = 0;
    this.#settle();
    this.#moreRequests();
    this.#settle();
    this.#checkLists();
    this.#checkSilence();
  }

  #anything(): void {
    const { traits, tabs } = this;
    const tab = tabs[this.within(tabs.length - 1)]!;
    if (this.often(45)) tab.send();
    if (this.often(traits.cancels)) tab.cancel();
    if (this.often(traits.switches)) tab.open(this.thread());
    if (this.often(5)) tab.wake();
    if (this.often(10)) tab.threads();
    if (this.often(traits.deletes / 2)) tab.remove();
    if (this.chance(2 * traits.deletes)) this.server.remake(this.thread());
    if (this.chance(traits.cuts)) tab.cut();
    if (this.chance(traits.halves)) tab.half();
    if (this.chance(traits.outages)) this.#outage();
    if (this.chance(traits.retention)) this.server.trim(this.thread());
  }

  #outage(): void {
    this.down = this.now + this.within(180_000);
    this.note(`no socket opens until ${this.down}`);
    for (const tab of this.tabs) tab.cut();
    this.pass(this.down - this.now);
  }

  /** Counts the sockets that tabs try to open in the same millisecond after a pause. Jitter must spread them. */
  countAttempt(): void {
    const n = 1 + (this.#tries.get(this.now) ?? 0);
    this.#tries.set(this.now, n);
    if (n > 5) this.fail(`storm: tabs try to open ${n} sockets in one millisecond`);
  }

  /** Waits until the server has no work left, and then as long as a tab may take to notice. */
  #settle(): void {
    const { server, tabs } = this;
    const limit = this.now + 2 * 3_600_000;
    for (let since = this.now; this.now < since + HEALED + IDLE || server.working;) {
      this.pass(1000);
      if (this.now > limit) this.fail("the model's server never becomes idle");
      if (server.touched > since || server.working) since = this.now;
      if (this.now === since + HEALED) for (const tab of tabs) if (tab.knewRun(since)) tab.checkFinal();
    }
    for (const slow of [false, true]) {
      for (const tab of tabs) if ((tab.link?.slow ?? slow) === slow) tab.checkFinal();
      this.pass(60_000); // a slow socket still delivers
    }
  }

  /** Plays some more requests without faults. The stricter limits now apply. */
  #moreRequests(): void {
    this.note("more requests, without faults");
    for (let i = 0; i < 12; i++) {
      if (this.often(60)) this.tabs[this.within(this.tabs.length - 1)]!.send();
      this.pass(this.within(1500));
      if (this.often(50)) this.tabs[this.within(this.tabs.length - 1)]!.open(this.thread());
      this.pass(this.within(1500));
    }
  }

  #checkLists(): void {
    for (const tab of this.tabs) if (tab.view.status === "ready") tab.threads();
    this.pass(30_000);
    for (const tab of this.tabs) if (tab.view.status === "ready") tab.checkList();
  }

  /** Checks that tabs send only pings while nothing happens. */
  #checkSilence(): void {
    this.pass(240_000);
    const before = this.tabs.map(({ counts }) => ({ ...counts }));
    this.pass(20 * 60_000);
    this.tabs.forEach((tab, i) => {
      const pings = tab.view.thread?.queue.length ? 81 : 5;
      const [hellos, sentPings, connects] = (["hellos", "pings", "connects"] as const).map((of) => tab.counts[of] - before[i]![of]);
      if (hellos! > 1 || sentPings! > pings || connects! > 0) {
        this.fail(`storm: in 20 quiet minutes ${tab.name} sent ${hellos} hellos and ${sentPings} pings, and connected ${connects} times`);
      }
    });
  }
}
