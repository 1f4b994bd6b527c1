import type { ClientFrame, Hello, Ping, Run } from "./client-frames.ts";
import type { Message, Resume } from "./events.ts";
import type { RunOptions } from "./contract.ts";
import type { QueuedRun } from "./state.ts";

/** A run that has no answer yet. */
export interface PendingRun {
  readonly runId: string;
  /** Absent until a client that was not told which thread to open knows one. */
  threadId: string | undefined;
  readonly messages: readonly Message[];
  readonly resume?: readonly Resume[];
  readonly options?: RunOptions;
  /** As sent on this socket. */
  frame?: Run;
}

/** A request that is answered once and is not a run. */
export type Plain = Exclude<ClientFrame, Hello | Run | Ping> & { readonly requestId: string };

/**
 * Whether the requests of a type are sent one after the other, each after the answer to the last: those of one thread, and
 * those without a thread. API Gateway may run frames in any order.
 */
const IN_ORDER = {
  cancel: false, threads: false, history: false, rename: true, delete: true, runs: true, erase: true, signOut: true,
} as const satisfies { readonly [T in Plain["type"]]: boolean };

/** A request that is sent after the answer to the last one of its thread. */
export type Edit = Extract<Plain, { readonly type: { [T in Plain["type"]]: (typeof IN_ORDER)[T] extends true ? T : never }[Plain["type"]] }>;

/**
 * The unanswered requests. Each may be repeated at any time, because the server treats a repeat as the same request. Of a thread's runs, the next is sent after the answer to the last, and so with its renames and deletion.
 */
export class Requests {
  readonly #plain = new Map<string, Plain>();
  #edits: Edit[] = [];
  #runs: PendingRun[] = [];

  get empty(): boolean {
    return this.#plain.size === 0 && this.#edits.length === 0 && this.#runs.length === 0;
  }

  get runs(): readonly PendingRun[] {
    return this.#runs;
  }

  /** What is repeated after the runs: cancels first, then the first edit of each thread. */
  get plain(): readonly Plain[] {
    const all = [...this.#plain.values()];
    const edits = this.#edits.filter((edit) => this.edit(threadOf(edit)) === edit);
    return [...all.filter((r) => r.type === "cancel"), ...edits, ...all.filter((r) => r.type !== "cancel")];
  }

  /** True if the request may go now. */
  add(request: Plain): boolean {
    if (!isEdit(request)) {
      this.#plain.set(request.requestId, request);
      return true;
    }
    this.#edits.push(request);
    return this.edit(threadOf(request)) === request;
  }

  /** The edit of a thread, or of none (""), that is out or may go. */
  edit(threadId: string): Edit | undefined {
    return this.#edits.find((edit) => threadOf(edit) === threadId);
  }

  /** The request of this id that is sent in order, if there is one. */
  editOf(requestId: string): Edit | undefined {
    return this.#edits.find((edit) => edit.requestId === requestId);
  }

  addRun(run: PendingRun): void {
    this.#runs.push(run);
  }

  /** Removes the request that an answer names; true if it was there. */
  answered(requestId: string): boolean {
    const out = this.#edits.find((edit) => edit.requestId === requestId && this.edit(threadOf(edit)) === edit);
    this.#edits = this.#edits.filter((edit) => edit !== out);
    return this.#plain.delete(requestId) || out !== undefined;
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
      .map(({ runId, messages, resume }) => ({ runId, state: "sending", messages, ...(resume && { resume }) }));
  }

  /** The messages of the runs that did not go out, by thread; unless the socket is good, of all that have no answer. */
  unsent(good: boolean): Map<string, Message[]> {
    const found = new Map<string, Message[]>();
    for (const { threadId = "", messages, frame } of this.#runs) {
      if (!good || !frame) found.set(threadId, [...found.get(threadId) ?? [], ...messages]);
    }
    return found;
  }

  /** The runs that were queued for a thread to be known are its. */
  adopt(threadId: string): void {
    for (const run of this.#runs) run.threadId ??= threadId;
  }

  /** Removes all requests, and returns their ids. */
  clear(): string[] {
    const ids = [...this.#plain.keys(), ...this.#edits.map((edit) => edit.requestId), ...this.#runs.map((run) => `run.${run.runId}`)];
    this.#plain.clear();
    this.#edits = [];
    this.#runs = [];
    return ids;
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

function isEdit(request: Plain): request is Edit {
  return IN_ORDER[request.type];
}

/** The thread of a request that is sent in order, or "". */
export function threadOf(edit: Edit): string {
  return "threadId" in edit ? edit.threadId : "";
}
