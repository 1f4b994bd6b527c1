import type { AgentEvent } from "./events.ts";

/** How far a tool call is. */
export interface CallProgress {
  readonly done: number;
  /** Undefined: it is not known. */
  readonly total?: number;
  readonly message?: string;
}

/** A server whose tools are missing from the run. */
export interface MissingSource {
  readonly server: string;
  readonly state: string;
}

/** What the newest run reports beside its messages. Each change makes new values. */
export class Reports {
  /** Of calls without a result, by the call's id. */
  progress: ReadonlyMap<string, CallProgress> = new Map();
  sources: readonly MissingSource[] = [];

  event({ type, name, value, toolCallId }: AgentEvent): void {
    if (type === "RUN_STARTED") this.clear();
    if (type === "CUSTOM" && typeof value === "object" && value !== null) this.#custom(name, value as Readonly<Record<string, unknown>>);
    if (type === "TOOL_CALL_RESULT" && this.progress.has(toolCallId ?? "")) {
      this.progress = new Map([...this.progress].filter(([id]) => id !== toolCallId));
    }
    if ((type === "RUN_FINISHED" || type === "RUN_ERROR") && this.progress.size > 0) this.progress = new Map();
  }

  clear(): void {
    if (this.progress.size > 0) this.progress = new Map();
    if (this.sources.length > 0) this.sources = [];
  }

  #custom(name: string | undefined, { toolCallId, done, total, message, server, state }: Readonly<Record<string, unknown>>): void {
    if (name === "carrel.progress" && typeof toolCallId === "string" && toolCallId !== "" && typeof done === "number") {
      this.progress = new Map([...this.progress, [toolCallId, {
        done, ...(typeof total === "number" && total !== 0 && { total }), ...(typeof message === "string" && message !== "" && { message }),
      }]]);
    }
    if (name === "carrel.source" && typeof server === "string" && server !== "" && typeof state === "string") {
      this.sources = [...this.sources.filter((source) => source.server !== server), { server, state }];
    }
  }
}
