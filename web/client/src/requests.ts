import type { Cancel, Delete, History, Message, Rename, Run, Threads } from "./frames.ts";
import type { QueuedRun } from "./thread.ts";

/** A run that has no answer yet. */
export interface PendingRun {
  readonly runId: string;
  /** Absent until a client that was not told which thread to open knows one. */
  threadId: string | undefined;
  readonly messages: readonly Message[];
  /** As sent on this socket. */
  frame?: Run;
}

export type Plain = (Cancel | Threads | History | Rename | Delete) & { readonly requestId: string };

/**
 * What was asked and is not answered yet. All of it may be repeated at any time, because the server takes a repeated
 * request as the same one. Of a thread's runs, the next is sent after the answer to the last.
 */
export class Requests {
  readonly #plain = new Map<string, Plain>();
  #runs: PendingRun[] = [];

  get empty(): boolean {
    return this.#plain.size === 0 && this.#runs.length === 0;
  }

  get runs(): readonly PendingRun[] {
    return this.#runs;
  }

  /** What is repeated after the runs: cancels first. */
  get plain(): readonly Plain[] {
    const all = [...this.#plain.values()];
    return [...all.filter((r) => r.type === "cancel"), ...all.filter((r) => r.type !== "cancel")];
  }

  add(request: Plain): void {
    this.#plain.set(request.requestId, request);
  }

  addRun(run: PendingRun): void {
    this.#runs.push(run);
  }

  /** Removes the request that an answer names; true if it was there. */
  answered(requestId: string): boolean {
    return this.#plain.delete(requestId);
  }

  run(runId: string): PendingRun | undefined {
    return this.#runs.find((run) => run.runId === runId);
  }

  /** Removes a run that is answered. */
  settle(runId: string): PendingRun | undefined {
    const run = this.run(runId);
    this.#runs = this.#runs.filter((r) => r !== run);
    return run;
  }

  sending(threadId: string | undefined): QueuedRun[] {
    return this.#runs.filter((run) => run.threadId === threadId)
      .map((run) => ({ runId: run.runId, state: "sending", messages: run.messages }));
  }

  /** The runs that were waiting for a thread to be known are its. */
  adopt(threadId: string): void {
    for (const run of this.#runs) run.threadId ??= threadId;
  }

  /** A new socket has been sent nothing yet. */
  unsend(): void {
    for (const run of this.#runs) delete run.frame;
  }

  /** The runs that are the first of their thread: those that are out, or may go. */
  front(): PendingRun[] {
    const threads = new Set<string>();
    return this.#runs.filter((run) => {
      if (run.threadId === undefined || threads.has(run.threadId)) return false;
      threads.add(run.threadId);
      return true;
    });
  }
}
