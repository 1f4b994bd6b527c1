import { RefusedError } from "./contract.ts";
import type { ServerFrame } from "./server-frames.ts";

type Waiter = { resolve: (frame: ServerFrame) => void; reject: (error: Error) => void };

/** The promises of unanswered requests, by request id. */
export class Waiters {
  readonly #all = new Map<string, Waiter[]>();

  /** Returns the promise of a request's answer. A request may be made again before its answer. */
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
    // Each rename, deletion and page of runs has its own answer. For other requests, one answer settles all with its id.
    const answered = waiters.splice(0, /^(?:rename\.|delete\.|runs$)/.test(requestId) ? 1 : waiters.length);
    if (waiters.length === 0) this.#all.delete(requestId);
    for (const { resolve, reject } of answered) {
      if (frame.type === "error" || frame.type === "rejected") reject(new RefusedError(frame.code, frame.message, frame.retryAfterMs));
      else resolve(frame);
    }
  }

  /** Rejects all requests: they will not be answered any more. */
  refuse(error: Error): void {
    for (const waiter of [...this.#all.values()].flat()) waiter.reject(error);
    this.#all.clear();
  }
}
