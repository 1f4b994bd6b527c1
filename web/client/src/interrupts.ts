import type { AgentEvent, Interrupt, Resume } from "./events.ts";

/** Approves a call that a person was asked about: as the model wrote it, or with other arguments. */
export function approve({ id }: Interrupt, args?: Readonly<Record<string, unknown>>): Resume {
  return { interruptId: id, status: "resolved", ...(args !== undefined && { payload: { approved: true, arguments: args } }) };
}

/** Refuses a call, or to answer. */
export function refuse({ id }: Interrupt): Resume {
  return { interruptId: id, status: "cancelled" };
}

/** What an agent has asked in one thread and nobody has answered yet. */
export class Interrupts {
  #open: readonly Interrupt[] = [];
  /** Answered by a run that has begun: nothing opens these again. */
  readonly #answered = new Set<string>();

  /** Those that none of the given runs answers. */
  openExcept(runs: readonly { readonly resume?: readonly Resume[] }[]): readonly Interrupt[] {
    const answered = new Set(runs.flatMap((run) => run.resume ?? []).map(({ interruptId }) => interruptId));
    return answered.size === 0 ? this.#open : this.#open.filter(({ id }) => !answered.has(id));
  }

  /** Takes an applied event. A run begins only where nothing is asked any more. */
  event({ type, input, outcome }: AgentEvent): void {
    if (type === "RUN_STARTED") {
      for (const { interruptId } of input?.resume ?? []) this.#answered.add(interruptId);
      this.#open = [];
    } else if (type === "RUN_FINISHED" && outcome?.type === "interrupt") this.set(outcome.interrupts);
  }

  /** Takes what the server says is open. */
  set(interrupts: readonly Interrupt[] = []): void {
    this.#open = interrupts.filter(({ id }) => !this.#answered.has(id));
  }
}
