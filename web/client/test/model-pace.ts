import type { Message } from "./model-net.ts";
import type { Frame } from "./model-server.ts";
import type { Tab } from "./model-tab.ts";

/** The limits of one tab per minute. */
const MOST = { hellos: 90, pings: 30, connects: 40 };
/** The shortest pause in ms before a hello because of a gap. */
const LEAST = 250;

/** Checks how often a tab sends hello, pings and connects against the limits of the protocol. */
export class Pace {
  readonly counts = { hellos: 0, pings: 0, connects: 0 };
  /** When the last hello went out, and when this socket became ready; 0: not yet. */
  helloed = 0;
  firstReady = 0;
  /** When the user last made a request in this tab. */
  lastAction = -Infinity;
  /** The n of the last hello or run on this socket, and when the tab last sent a frame other than ping. */
  n = 0;
  lastSent = 0;
  /** When the last ready arrived, and the last error frame. */
  lastReady = -1;
  lastError = -1;
  /** When an event was last applied or a part arrived. */
  progress = 0;
  /** A pong and the view disagree on whether interrupts are open. */
  pongDiffers = false;
  /** When a message last made the tab send unanswered frames again. */
  unsure = -Infinity;
  /** Successive pauses without jitter. */
  #evenPauses = 0;
  /** Attempts to open a socket since the last one that became ready. */
  attempts = 0;
  #minute = 0;
  #inMinute = { hellos: 0, pings: 0, connects: 0 };
  /** The n of the hello that has no ready yet; 0: none. */
  #out = 0;
  /** Hellos because of a gap since an event was last applied, and when the last of them was sent. */
  #gaps = 0;
  #gapped = 0;
  /** The time of the last attempt, or of the loss of the socket. */
  since = 0;

  constructor(readonly tab: Tab) {}

  fresh(): void {
    this.#out = this.#gaps = this.#gapped = this.firstReady = this.n = 0;
    this.progress = this.tab.world.now;
  }
  noteProgress(): void {
    this.#gaps = this.#gapped = 0;
    this.progress = this.tab.world.now;
  }
  /** Checks that the tab has sent a hello at once, for the reason why. */
  requireHello(why: string): void {
    const { link, name, view, world } = this.tab;
    if (link && this.#out === 0 && view.status !== "replaced") world.fail(`${name} ${why}, and has not sent hello`);
  }
  /** The next socket, whose hello went out at that time, is now the one in use. */
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
    if (++this.#inMinute[what] > MOST[what]) world.fail(`storm: ${name} has ${this.#inMinute[what]} ${what} in a minute`);
  }

  /** Notes a message, and the frame that it completes. */
  notePace(message: Message, frame: Frame | undefined, threadId: string, sending: boolean, snapshotN: number): void {
    const { now } = this.tab.world;
    if (message.of > 1) this.progress = now;
    if (!message.frame || (frame?.type === "pong" && (sending || this.lastAction + 600_000 > now))) this.unsure = now;
    if (frame?.type === "error") this.lastError = now;
    if (frame?.type !== "ready") return;
    this.lastReady = now;
    // The view drops a ready that a snapshot of a later hello has overtaken.
    if (this.firstReady === 0 && frame.threadId === threadId && (frame.n as number) >= snapshotN) {
      this.attempts = 0;
      this.firstReady = now;
    }
    if ((frame.n as number) >= this.#out) this.#out = 0;
  }

  /** Notes a frame that the tab sends. */
  noteSent({ type, n }: { type: string; n: number }): void {
    const { world, kind } = this.tab;
    if (type === "ping") this.#count("pings");
    else this.lastSent = world.now;
    if (type === "run") this.n = Math.max(this.n, n);
    if (type !== "hello") return;
    this.n = n;
    this.#count("hellos");
    if (kind === "tick" && this.unsure + 25_000 < world.now) this.#checkGap();
    this.#out = n;
    this.helloed = world.now;
  }

  /** Checks the pauses before a hello that the gap's timer sends. */
  #checkGap(): void {
    const { world, name } = this.tab;
    const { now } = world;
    const pause = Math.min(LEAST * 2 ** this.#gaps, 5000);
    if (this.#out !== 0) world.fail(`storm: ${name} sends hello while one is unanswered`);
    if (now - this.progress < LEAST) world.fail(`storm: ${name} sends hello only ${now - this.progress} ms after its last progress`);
    if (this.#gapped > 0 && now - this.#gapped < pause) world.fail(`storm: ${name} sends hello again after ${now - this.#gapped} ms, want a pause of ${pause}`);
    this.#gaps++;
    this.#gapped = now;
  }

  /** Notes an attempt to open a socket, and checks the pause before it. */
  noteAttempt(): void {
    const { world, name, kind } = this.tab;
    this.#count("connects");
    const { now } = world;
    const pause = now - this.since;
    if (!this.tab.link && kind === "tick") {
      if (pause > 20_000 || (this.attempts === 0 && pause > 2000)) world.fail(`${name} waits ${pause} ms before attempt ${this.attempts + 1} to open a socket`);
      this.#evenPauses = pause > 0 && pause % 500 === 0 ? this.#evenPauses + 1 : 0;
      if (this.#evenPauses > 2) world.fail(`storm: ${name} waits ${pause} ms for its socket, without jitter: every tab waits as long`);
      world.countAttempt();
    }
    this.attempts++;
    this.since = now;
  }
}
