import type { AgentEvent, Interrupt, Resume } from "./events.ts";

/** The response that approves a call: as the model wrote it, or with other arguments. */
export function approve({ id }: Interrupt, args?: Readonly<Record<string, unknown>>): Resume {
  return { interruptId: id, status: "resolved", ...(args !== undefined && { payload: { approved: true, arguments: args } }) };
}

/** The response that refuses a call or an input. */
export function refuse({ id }: Interrupt): Resume {
  return { interruptId: id, status: "cancelled" };
}

/** The run that has opened the interrupt. */
export function askedBy({ metadata }: Interrupt): unknown {
  const carrel = metadata?.carrel;
  return typeof carrel === "object" && carrel !== null && "runId" in carrel ? carrel.runId : undefined;
}

/** The open interrupts of one thread. */
export class Interrupts {
  #open: readonly Interrupt[] = [];
  /** Closed by a run that has begun: they never open again. */
  readonly #answered = new Set<string>();

  /** The open interrupts to which none of the given runs responds. */
  openExcept(runs: readonly { readonly resume?: readonly Resume[] }[]): readonly Interrupt[] {
    const answered = new Set(runs.flatMap((run) => run.resume ?? []).map(({ interruptId }) => interruptId));
    return answered.size === 0 ? this.#open : this.#open.filter(({ id }) => !answered.has(id));
  }

  /** Applies an event. RUN_STARTED closes all: a run begins only in a thread without open interrupts. */
  event({ type, input, outcome }: AgentEvent): void {
    if (type === "RUN_STARTED") {
      for (const { interruptId } of input?.resume ?? []) this.#answered.add(interruptId);
      this.#open = [];
    } else if (type === "RUN_FINISHED" && outcome?.type === "interrupt") this.set(outcome.interrupts);
  }

  /** Replaces the open interrupts. Leaves out interrupts that an applied event has closed. */
  set(interrupts: readonly Interrupt[] = []): void {
    this.#open = interrupts.filter(({ id }) => !this.#answered.has(id));
  }
}
