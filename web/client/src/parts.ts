import type { Part } from "./frames.ts";

/** How long a frame's next part may take, in ms. */
const PATIENCE = 5000;

/** Joins frames that came in parts. */
export class Parts {
  readonly #open = new Map<string, { pieces: Map<number, string>; at: number }>();

  /** Takes a part; the whole frame's text once all of it is there. Throws if it is not base64 of UTF-8. */
  add(part: Part, now: number): string | undefined {
    const whole = this.#open.get(part.id) ?? { pieces: new Map<number, string>(), at: now };
    whole.at = now;
    whole.pieces.set(part.n, part.data);
    this.#open.set(part.id, whole);
    if (whole.pieces.size < part.of) return undefined;
    this.#open.delete(part.id);
    const bytes: number[] = [];
    for (let n = 1; n <= part.of; n++) {
      for (const c of atob(whole.pieces.get(n) ?? "")) bytes.push(c.charCodeAt(0));
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes));
  }

  /** When the oldest unfinished frame is given up. */
  due(): number | undefined {
    const ends = [...this.#open.values()].map((whole) => whole.at + PATIENCE);
    return ends.length ? Math.min(...ends) : undefined;
  }

  /** Drops what was not finished in time; true if something was, which is a gap. */
  expire(now: number): boolean {
    let dropped = false;
    for (const [id, whole] of this.#open) {
      if (whole.at + PATIENCE <= now) dropped = this.#open.delete(id);
    }
    return dropped;
  }

  clear(): void {
    this.#open.clear();
  }
}
