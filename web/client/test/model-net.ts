import type { Request, Frame } from "./model-server.ts";
import type { Tab } from "./model-tab.ts";

/** A message on a socket: a frame, or a part of one. Without a frame, API Gateway sent it and not the server. */
export interface Message { text: string; frame?: Frame; of: number; post: string }

/** One socket. Its two ends may disagree on whether it is open. */
export class Link {
  /** The client considers it open. */
  here = true;
  /** Half-open: it accepts every message and delivers none. */
  dead = false;
  /** The gateway considers it closed. */
  closed = false;
  /** When its watched thread was last stored. */
  watched = 0;
  #busy = 0;
  constructor(readonly tab: Tab, readonly slow: boolean) {}

  /** Ends the socket from the gateway's side. */
  hangUp(): void {
    this.closed = true;
    this.tab.world.later(50, () => { if (this.here && !this.dead) this.tab.lost(this); });
  }

  /** Ends the socket from the client's side. The gateway may never notice. */
  leave(): void {
    const { world } = this.tab;
    this.here = false;
    if (this.dead || world.chance(world.traits.halves)) return world.later(20_000, () => void (this.closed = true));
    this.closed = true;
    if (!world.chance(30)) world.later(100, () => world.server.drop(this));
  }

  /** Sends a frame of the client. A failed function may have done its work or not. */
  up(text: string): void {
    const { world } = this.tab;
    world.later(world.fair ? 20 : 150, () => {
      if (this.dead || this.closed) return;
      const frame = JSON.parse(text) as Request;
      if (!world.chance(world.traits.functions)) return world.server.serve(this, frame, false);
      this.tab.noteFault();
      const mute = world.chance(50);
      if (mute || world.chance(50)) world.server.serve(this, frame, mute);
      if (!world.chance(20)) this.#arrive({ text: `{"message": "Internal server error"}`, of: 1, post: "" });
    });
  }

  /** Posts a frame, in parts by chance, and calls done with whether all posts succeeded. */
  post(frame: Frame, done: (ok: boolean) => void = () => {}): void {
    const { world } = this.tab;
    const text = JSON.stringify(frame);
    const post = `p${world.within(1e15)}`;
    const texts = text.length > 300 && world.often(world.traits.parts) ? pieces(text, post) : [text];
    const next = (i: number): void => {
      if (i === texts.length) return done(true);
      world.later(25, () => this.#pass({ text: texts[i]!, frame, of: texts.length, post }) ? next(i + 1) : done(false));
    };
    next(0);
  }

  /** Posts one message: it may be lost, fail before or after its effect, or arrive twice. */
  #pass(message: Message): boolean {
    const { world } = this.tab;
    const { lost, broken, twice } = world.traits;
    if (this.closed) {
      world.server.drop(this);
      return false;
    }
    if (this.dead) return true;
    if (world.chance(lost)) {
      this.tab.noteFault();
      world.note(`${this.tab.name}: lost: ${message.text}`);
      return true;
    }
    if (world.chance(broken)) {
      this.tab.noteFault();
      world.note(`${this.tab.name}: the post failed: ${message.text}`);
      if (world.chance(50)) this.#arrive(message); // the post fails after its effect
      return false;
    }
    this.#arrive(message);
    if (world.chance(twice)) this.#arrive(message);
    return true;
  }

  /** Schedules the delivery of a message to the client. */
  #arrive(message: Message): void {
    const { world } = this.tab;
    let at = world.now + world.within(30);
    if (world.chance(world.traits.late)) at += world.within(1500);
    if (this.slow) at = this.#busy = Math.max(at, this.#busy) + 200 + world.within(1000);
    world.at(at, () => { if (this.here && !this.dead) this.tab.receive(this, message); });
  }
}

/** Cuts a frame into three parts, as the server does with a long frame. */
function pieces(text: string, id: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const cuts = [0, Math.floor(bytes.length / 3), Math.floor(bytes.length / 2), bytes.length];
  return [1, 2, 3].map((n) => JSON.stringify({ type: "part", id, n, of: 3, data: btoa(String.fromCharCode(...bytes.slice(cuts[n - 1], cuts[n]))) }));
}
