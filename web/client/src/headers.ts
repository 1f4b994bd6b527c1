import type { Folder } from "./fold.ts";
import type { AgentEvent } from "./events.ts";
import type { RunHeader } from "./server-frames.ts";

/** The known facts of a message's run. The model and the usage are known once the run has ended. */
export type MessageRun = Omit<RunHeader, "messages">;

/** The runs of a thread whose messages the client has. */
export class Headers {
  readonly #runs = new Map<string, MessageRun>();
  /** The last result of `of`, and the fold that it was made from. */
  #made: { fold: Folder; messages: number; of: ReadonlyMap<string, MessageRun> } | undefined;

  constructor(runs?: readonly RunHeader[]) {
    this.add(runs);
  }

  /** Adds the headers of a snapshot or of a page. */
  add(runs: readonly RunHeader[] = []): void {
    for (const { messages: _, ...run } of runs) this.#set(run);
  }

  /** Follows the next event of a run. */
  event(event: AgentEvent, runId: string, seq: number): void {
    const { type, timestamp: at, metadata, usage } = event;
    const run = this.#runs.get(runId);
    if (type === "RUN_STARTED") {
      const agent = (metadata?.carrel as { agent?: unknown } | undefined)?.agent;
      this.#set({ runId, seq, ...(at && { at }), ...(typeof agent === "string" && { agent }) });
    } else if (run && usage && (type === "RUN_FINISHED" || type === "RUN_ERROR")) {
      const model = usage.find((used) => used.model)?.model;
      this.#set({ ...run, usage, ...(model && { model }) });
    }
  }

  /** The run of each folded message, by the message's id. The map is never changed afterwards. */
  of(fold: Folder): ReadonlyMap<string, MessageRun> {
    const { size } = fold.runs;
    if (this.#made?.fold !== fold || this.#made.messages !== size) {
      const of = new Map<string, MessageRun>();
      for (const [id, runId] of fold.runs) {
        const run = this.#runs.get(runId);
        if (run) of.set(id, run);
      }
      this.#made = { fold, messages: size, of };
    }
    return this.#made.of;
  }

  #set(run: MessageRun): void {
    this.#runs.set(run.runId, run);
    this.#made = undefined;
  }
}
