import type { AgentEvent, Interrupt, Resume } from "./frames.ts";

/**
 * What an agent has asked in one thread and nobody has answered yet. What the applied events say goes before what the
 * server says: it may have read before they came.
 */
export class Questions {
  #open: readonly Interrupt[] = [];
  /** Answered by a run that has begun: nothing opens these again. */
  readonly #closed = new Set<string>();
  /** The sequence number of the last event that changed anything. */
  #at = 0;

  get open(): readonly Interrupt[] {
    return this.#open;
  }

  /** Those that none of the given runs answers. */
  besides(runs: readonly { readonly resume?: readonly Resume[] }[]): readonly Interrupt[] {
    const answered = new Set(runs.flatMap((run) => run.resume ?? []).map(({ interruptId }) => interruptId));
    return answered.size === 0 ? this.#open : this.#open.filter(({ id }) => !answered.has(id));
  }

  /** Takes an applied event. */
  event({ type, input, outcome }: AgentEvent, seq: number): void {
    if (type === "RUN_STARTED") {
      // A thread that asks starts no run but one that answers, or one after the questions have expired.
      if (this.#open.length > 0 || input?.resume) this.#at = seq;
      for (const { id } of this.#open) this.#closed.add(id);
      for (const { interruptId } of input?.resume ?? []) this.#closed.add(interruptId);
      this.#open = [];
    } else if (type === "RUN_FINISHED" && outcome?.type === "interrupt") {
      this.#at = seq;
      this.#set(outcome.interrupts ?? []);
    }
  }

  /** Takes what the server says is open as of the event `head`. */
  told(interrupts: readonly Interrupt[] | undefined, head = Infinity): void {
    if (head >= this.#at) this.#set(interrupts ?? []);
  }

  /** The thread begins anew. */
  clear(): void {
    this.#open = [];
    this.#at = 0;
  }

  #set(interrupts: readonly Interrupt[]): void {
    this.#open = interrupts.filter(({ id }) => !this.#closed.has(id));
  }
}
