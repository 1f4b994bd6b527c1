import type { ClientFrame, Hello, Ping, Run } from "./client-frames.ts";
import type { Message, Resume } from "./events.ts";
import type { RunOptions } from "./contract.ts";
import type { QueuedRun } from "./state.ts";

/** A run that has no answer yet. */
export interface PendingRun {
  readonly runId: string;
  /** undefined until the client knows which thread the server has opened. */
  threadId: string | undefined;
  readonly messages: readonly Message[];
  readonly resume?: readonly Resume[];
  readonly options?: RunOptions;
  /** The frame that was sent on this socket. */
  frame?: Run;
}

/** A request other than a run. It has one answer. */
export type Plain = Exclude<ClientFrame, Hello | Run | Ping> & { readonly requestId: string };

/**
 * Whether requests of a type are sent one by one, each after the answer to the last. This holds per thread, and for requests
 * without a thread. API Gateway may deliver frames in any order.
 */
const IN_ORDER = {
  cancel: false, threads: false, history: false, rename: true, delete: true, runs: true, erase: true, signOut: true,
} as const satisfies { readonly [T in Plain["type"]]: boolean };

/** A request that is sent after the answer to the last one of its thread. */
export type Edit = Extract<Plain, { readonly type: { [T in Plain["type"]]: (typeof IN_ORDER)[T] extends true ? T : never }[Plain["type"]] }>;

/**
 * The unanswered requests. Each may be repeated at any time, because the server treats a repeat as the same request. The runs
 * of a thread are sent one by one, each after the answer to the last. The same holds for its renames and its deletion.
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

  /** The requests that are repeated after the runs: cancels first, then the first edit of each thread, then the others. */
  get plain(): readonly Plain[] {
    const all = [...this.#plain.values()];
    const edits = this.#edits.filter((edit) => this.edit(threadOf(edit)) === edit);
    return [...all.filter((r) => r.type === "cancel"), ...edits, ...all.filter((r) => r.type !== "cancel")];
  }

  /** Adds a request. Returns true if it may be sent now. */
  add(request: Plain): boolean {
    if (!isEdit(request)) {
      this.#plain.set(request.requestId, request);
      return true;
    }
    this.#edits.push(request);
    return this.edit(threadOf(request)) === request;
  }

  /** The first edit of a thread ("": without a thread): it was sent or may be sent. */
  edit(threadId: string): Edit | undefined {
    return this.#edits.find((edit) => threadOf(edit) === threadId);
  }

  /** The edit with this request id, if there is one. */
  editOf(requestId: string): Edit | undefined {
    return this.#edits.find((edit) => edit.requestId === requestId);
  }

  addRun(run: PendingRun): void {
    this.#runs.push(run);
  }

  /** Removes the request with this id. Returns true if it was there. */
  answered(requestId: string): boolean {
    const out = this.#edits.find((edit) => edit.requestId === requestId && this.edit(threadOf(edit)) === edit);
    this.#edits = this.#edits.filter((edit) => edit !== out);
    return this.#plain.delete(requestId) || out !== undefined;
  }

  run(runId: string): PendingRun | undefined {
    return this.#runs.find((run) => run.runId === runId);
  }

  /** Removes an answered run. */
  settle(runId: string): PendingRun | undefined {
    const run = this.run(runId);
    this.#runs = this.#runs.filter((r) => r !== run);
    return run;
  }

  sending(threadId: string | undefined): QueuedRun[] {
    return this.#runs.filter((run) => run.threadId === threadId)
      .map(({ runId, messages, resume }) => ({ runId, state: "sending", messages, ...(resume && { resume }) }));
  }

  /** The messages, by thread, of the runs that were not sent. If the socket may be lost: of all runs without an answer. */
  unsent(good: boolean): Map<string, Message[]> {
    const found = new Map<string, Message[]>();
    for (const { threadId = "", messages, frame } of this.#runs) {
      if (!good || !frame) found.set(threadId, [...found.get(threadId) ?? [], ...messages]);
    }
    return found;
  }

  /** Assigns the runs without a thread to this thread. */
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

  /** Marks all runs as not sent: the socket is new. */
  unsend(): void {
    for (const run of this.#runs) delete run.frame;
  }

  /** The first run of each thread: it was sent or may be sent. */
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

/** The thread of an edit, or "". */
export function threadOf(edit: Edit): string {
  return "threadId" in edit ? edit.threadId : "";
}
