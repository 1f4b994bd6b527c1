import { decodeServer } from "./codec.ts";
import type { Part, ServerFrame } from "./server-frames.ts";

/** How long a frame's next part may take, in ms. */
const PATIENCE = 5000;
/** The limits of incomplete frames: a server that never completes frames must not fill the memory. As in shared/wire. */
const MAX_PARTS = 1024;
const MAX_OPEN = 8;
const MAX_DATA = 22 * 1024;
const MAX_KEPT = 32 * 1024 * 1024;

interface Open {
  readonly pieces: Map<number, string>;
  readonly of: number;
  at: number;
  size: number;
}

/** Joins the parts of frames, byte by byte. Parts may arrive in any order. */
export class Parts {
  readonly #open = new Map<string, Open>();

  /**
   * Adds a part. Returns the frame once it is complete. Returns "bad" and drops the frame if the part contradicts earlier
   * parts or exceeds the limits. Throws if the joined text is not a frame.
   */
  add(part: Part, now: number): ServerFrame | "bad" | undefined {
    const whole = this.#open.get(part.id) ?? { pieces: new Map<number, string>(), of: part.of, at: now, size: 0 };
    if (!this.#fits(part, whole)) {
      this.#open.delete(part.id);
      return "bad";
    }
    whole.at = now;
    if (!whole.pieces.has(part.n)) whole.size += bytes(part.data);
    whole.pieces.set(part.n, part.data);
    this.#open.set(part.id, whole);
    if (whole.pieces.size < part.of) return undefined;
    this.#open.delete(part.id);
    return joined(whole);
  }

  /** When the oldest incomplete frame is dropped. */
  due(): number | undefined {
    const ends = [...this.#open.values()].map((whole) => whole.at + PATIENCE);
    return ends.length ? Math.min(...ends) : undefined;
  }

  /** Drops the frames that were not completed in time. Returns true if there were any: their loss is a gap. */
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

  #fits({ id, n, of, data }: Part, whole: Open): boolean {
    const known = whole.pieces.get(n);
    if (!(Number.isInteger(n) && Number.isInteger(of) && n >= 1 && n <= of && of <= MAX_PARTS && of === whole.of)) return false;
    if (data === "" || bytes(data) > MAX_DATA || (known !== undefined && known !== data)) return false;
    return known !== undefined || (this.#kept() + bytes(data) <= MAX_KEPT && (this.#open.has(id) || this.#open.size < MAX_OPEN));
  }

  #kept(): number {
    let all = 0;
    for (const { size } of this.#open.values()) all += size;
    return all;
  }
}

/** The number of bytes that a base64 text encodes. */
function bytes(base64: string): number {
  return base64.length / 4 * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
}

/** Joins and decodes a complete frame. Throws if it is not base64 of UTF-8. */
function joined({ pieces, of }: Open): ServerFrame | undefined {
  let binary = "";
  for (let n = 1; n <= of; n++) binary += atob(pieces.get(n)!);
  return decodeServer(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
}
