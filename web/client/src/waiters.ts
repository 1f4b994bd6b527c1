import { RefusedError } from "./contract.ts";
import type { ServerFrame } from "./server-frames.ts";

type Waiter = { resolve: (frame: ServerFrame) => void; reject: (error: Error) => void };

/** Who waits for the answers to requests, by request id. */
export class Waiters {
  readonly #all = new Map<string, Waiter[]>();

  /** What the request will be answered with; the same request twice is one. */
  of(requestId: string): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      this.#all.set(requestId, [...this.#all.get(requestId) ?? [], { resolve, reject }]);
    });
  }

  drop(requestId: string): void {
    this.#all.delete(requestId);
  }

  answered(requestId: string, frame: ServerFrame): void {
    const waiters = this.#all.get(requestId) ?? [];
    // A thread's renames and pages of runs are answered one by one, anything else at once for all that asked it.
    const answered = waiters.splice(0, /^(?:rename\.|delete\.|runs$)/.test(requestId) ? 1 : waiters.length);
    if (waiters.length === 0) this.#all.delete(requestId);
    for (const { resolve, reject } of answered) {
      if (frame.type === "error" || frame.type === "rejected") reject(new RefusedError(frame.code, frame.message, frame.retryAfterMs));
      else resolve(frame);
    }
  }

  /** No answer will come. */
  refuse(error: Error): void {
    for (const waiter of [...this.#all.values()].flat()) waiter.reject(error);
    this.#all.clear();
  }
}
