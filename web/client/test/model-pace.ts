import type { Message } from "./model-net.ts";
import type { Frame } from "./model-server.ts";
import type { Tab } from "./model-tab.ts";

/** Most of one tab in a minute. */
const MOST = { hellos: 90, pings: 30, connects: 40 };
const LEAST = 250;

/** How often a tab asks, held against what the protocol says of it. */
export class Pace {
  readonly counts = { hellos: 0, pings: 0, connects: 0 };
  /** When the last hello went out, and when this socket became ready; 0: not yet. */
  helloed = 0;
  ready = 0;
  /** A person asked something. */
  acted = -Infinity;
  /** Of the last hello or run on this socket, and when anything but a ping was said. */
  n = 0;
  said = 0;
  /** When the last ready came, or an error frame. */
  answer = -1;
  broken = -1;
  progress = 0;
  /** A pong said otherwise than the view whether the thread asks. */
  differs = false;
  unsure = -Infinity;
  #even = 0;
  /** Attempts to open a socket since the last that became ready. */
  tried = 0;
  #minute = 0;
  #inMinute = { hellos: 0, pings: 0, connects: 0 };
  #out = 0;
  #gaps = 0;
  #gapped = 0;
  /** The last try, or since when there is no socket. */
  since = 0;

  constructor(readonly tab: Tab) {}

  fresh(): void {
    this.#out = this.#gaps = this.#gapped = this.ready = this.n = 0;
    this.progress = this.tab.world.now;
  }
  gotOn(): void {
    this.#gaps = this.#gapped = 0;
    this.progress = this.tab.world.now;
  }
  /** The socket said hello before it was the one in use. */
  /** A hello must be there at once. */
  asked(why: string): void {
    const { link, name, session, world } = this.tab;
    if (link && this.#out === 0 && session.status !== "replaced") world.fail(`${name} ${why}, and does not say hello`);
  }
  greeted(at: number): void {
    this.#out = this.n = 1;
    this.helloed = at;
  }
  get out(): number {
    return this.#out;
  }
  openedAnother(): void {
    this.#gaps = this.#gapped = 0;
  }

  #count(what: keyof typeof MOST): void {
    const { world, name } = this.tab;
    const minute = Math.floor(world.now / 60_000);
    if (minute !== this.#minute) this.#inMinute = { hellos: 0, pings: 0, connects: 0 };
    this.#minute = minute;
    this.counts[what]++;
    if (++this.#inMinute[what] > MOST[what]) world.fail(`storm: of ${name} come ${this.#inMinute[what]} ${what} in a minute`);
  }

  /** Notes what bears on the tab's pace: a message, and the frame that is whole with it. */
  paces(message: Message, frame: Frame | undefined, threadId: string, sending: boolean): void {
    const { now } = this.tab.world;
    if (message.of > 1) this.progress = now;
    if (!message.frame || (frame?.type === "pong" && (sending || this.acted + 600_000 > now))) this.unsure = now;
    if (frame?.type === "error") this.broken = now;
    if (frame?.type !== "ready") return;
    this.answer = now;
    if (this.ready === 0 && frame.threadId === threadId) {
      this.tried = 0;
      this.ready = now;
    }
    if ((frame.n as number) >= this.#out) this.#out = 0;
  }

  says({ type, n }: { type: string; n: number }): void {
    const { world, kind } = this.tab;
    if (type === "ping") this.#count("pings");
    else this.said = world.now;
    if (type === "run") this.n = Math.max(this.n, n);
    if (type !== "hello") return;
    this.n = n;
    this.#count("hellos");
    if (kind === "tick" && this.unsure + 25_000 < world.now) this.#gap();
    this.#out = n;
    this.helloed = world.now;
  }

  /** A hello that nobody asked for: the gap's timer has sent it. */
  #gap(): void {
    const { world, name } = this.tab;
    const { now } = world;
    const pause = Math.min(LEAST * 2 ** this.#gaps, 5000);
    if (this.#out !== 0) world.fail(`storm: ${name} says hello while one is unanswered`);
    if (now - this.progress < LEAST) world.fail(`storm: ${name} says hello ${now - this.progress} ms after it got on`);
    if (this.#gapped > 0 && now - this.#gapped < pause) world.fail(`storm: ${name} says hello again after ${now - this.#gapped} ms, not ${pause}`);
    this.#gaps++;
    this.#gapped = now;
  }

  /** A socket is tried. */
  tries(): void {
    const { world, name, kind } = this.tab;
    this.#count("connects");
    const { now } = world;
    const pause = now - this.since;
    if (!this.tab.link && kind === "tick") {
      if (pause > 20_000 || (this.tried === 0 && pause > 2000)) world.fail(`${name} waits ${pause} ms for its socket, at try ${this.tried + 1}`);
      this.#even = pause > 0 && pause % 500 === 0 ? this.#even + 1 : 0;
      if (this.#even > 2) world.fail(`storm: ${name} waits ${pause} ms for its socket, and every tab waits as long`);
      world.tried();
    }
    this.tried++;
    this.since = now;
  }
}
