import { Server } from "./model-server.ts";
import { Tab } from "./model-tab.ts";

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

/** How bad one schedule's world is: tabs and threads as numbers, all else in percent. Half of them are none. */
const WORST = {
  lost: 20, late: 40, twice: 20, broken: 15, parts: 60, functions: 25, deaths: 6, cuts: 12, halves: 12, outages: 5, rolls: 50,
  deletes: 8, retention: 10, switches: 40, cancels: 15, slow: 50, slowRuns: 40, questions: 50,
};
type Traits = typeof WORST & { tabs: number; threads: number };

const MOST_STEPS = 60_000;
/** How long a tab that knows of a run may take to show what there is, and one that believes it is idle beyond that. */
const HEALED = 31_000;
const IDLE = 5 * 60_000;

/** A schedule failed. */
export class Wrong extends Error {}

/**
 * One schedule of the model that shared/client/testdata/scenarios/README.md describes, "The model"; the Go client has the
 * same one. Time is simulated and in ms. What happens next a seed decides.
 */
export class World {
  now = 0;
  fair = false;
  /** No socket opens before. */
  down = 0;
  readonly traits: Traits;
  readonly server: Server;
  readonly tabs: Tab[] = [];
  readonly told: string[] = [];
  readonly #random: () => number;
  #todo: { at: number; order: number; what: () => void }[] = [];
  #order = 0;
  #sends = 0;
  readonly #tries = new Map<number, number>();

  constructor(seed: number, readonly tells = false) {
    const random = this.#random = dice(seed);
    this.server = new Server(this);
    const k = random() * 20;
    const traits: Record<string, number> = { threads: 1 + Math.floor(random() * 3), tabs: k < 1 ? 11 : k < 8 ? 1 : 2 + Math.floor(random() * 2) };
    for (const [name, worst] of Object.entries(WORST)) traits[name] = random() < 0.5 ? 1 + Math.floor(random() * worst) : 0;
    this.traits = traits as Traits;
    for (let i = 0; i < this.traits.tabs; i++) this.tabs.push(new Tab(this, `tab${i + 1}`, dice(seed * 31 + i)));
  }

  /** True so many times in a hundred, as long as faults are on. */
  chance(percent: number): boolean {
    return !this.fair && this.often(percent);
  }
  /** The same for what is no fault. */
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
    throw new Wrong(`at ${this.now}: ${why}`);
  }
  note(line: string): void {
    if (this.tells) this.told.push(`${String(this.now).padStart(8)}  ${line}`);
  }
  later(most: number, what: () => void): void {
    this.at(this.now + this.within(most), what);
  }

  at(when: number, what: () => void): void {
    const one = { at: Math.max(when, this.now), order: this.#order++, what };
    let low = 0;
    let high = this.#todo.length;
    while (low < high) { // the soonest is last
      const middle = (low + high) >> 1;
      if (this.#todo[middle]!.at > one.at) low = middle + 1;
      else high = middle;
    }
    this.#todo.splice(low, 0, one);
    if (this.#order > MOST_STEPS * 2) this.fail("storm: too much happens");
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (let next = this.#todo.at(-1); next && next.at <= until; next = this.#todo.at(-1)) {
      this.#todo.pop();
      this.now = next.at;
      next.what();
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
    this.#encore();
    this.#settle();
    this.#lists();
    this.#silence();
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
    if (this.chance(traits.retention)) this.server.forget(this.thread());
  }

  #outage(): void {
    this.down = this.now + this.within(180_000);
    this.note(`nothing answers until ${this.down}`);
    for (const tab of this.tabs) tab.cut();
    this.pass(this.down - this.now);
  }

  /** Counts the sockets that are tried at the same moment after a pause: jitter spreads them. */
  tried(): void {
    const n = 1 + (this.#tries.get(this.now) ?? 0);
    this.#tries.set(this.now, n);
    if (n > 5) this.fail(`storm: ${n} sockets are tried at one moment`);
  }

  /** Waits until the server has nothing to do, and then as long as a tab may take to know it. */
  #settle(): void {
    const { server, tabs } = this;
    const limit = this.now + 2 * 3_600_000;
    for (let since = this.now; this.now < since + HEALED + IDLE || server.working;) {
      this.pass(1000);
      if (this.now > limit) this.fail("the model's server does not come to rest");
      if (server.touched > since || server.working) since = this.now;
      if (this.now === since + HEALED) for (const tab of tabs) if (tab.knew(since)) tab.truth();
    }
    for (const slow of [false, true]) {
      for (const tab of tabs) if ((tab.link?.slow ?? slow) === slow) tab.truth();
      this.pass(60_000); // what is in a slow socket comes later
    }
  }

  /** Some more use while nothing fails: now everything must be quick. */
  #encore(): void {
    this.note("the encore");
    for (let i = 0; i < 12; i++) {
      if (this.often(60)) this.tabs[this.within(this.tabs.length - 1)]!.send();
      this.pass(this.within(1500));
      if (this.often(50)) this.tabs[this.within(this.tabs.length - 1)]!.open(this.thread());
      this.pass(this.within(1500));
    }
  }

  #lists(): void {
    for (const tab of this.tabs) if (tab.session.status === "ready") tab.threads();
    this.pass(30_000);
    for (const tab of this.tabs) if (tab.session.status === "ready") tab.listed();
  }

  /** A long time in which nothing happens: only pings are said. */
  #silence(): void {
    this.pass(240_000);
    const before = this.tabs.map(({ counts }) => ({ ...counts }));
    this.pass(20 * 60_000);
    this.tabs.forEach((tab, i) => {
      const pings = tab.session.thread?.queue.length ? 81 : 5;
      const [hellos, said, connects] = (["hellos", "pings", "connects"] as const).map((of) => tab.counts[of] - before[i]![of]);
      if (hellos! > 1 || said! > pings || connects! > 0) {
        this.fail(`storm: in 20 quiet minutes ${tab.name} has said ${hellos} hellos and ${said} pings, and connected ${connects} times`);
      }
    });
  }
}
