import type { Figures, RunInfo, RunPage } from "carrel-client";

/** The rows that are here, newest first, and whether older ones exist. */
export interface Rows {
  readonly rows: readonly RunInfo[];
  readonly more: boolean;
}

/** Puts a page into the rows: it is true for as far as it reaches. before is what it was asked with. */
export function putPage(known: Rows | undefined, { runs, more = false }: RunPage, before?: string): Rows {
  const last = runs.at(-1)?.runId ?? "";
  const newer = (known?.rows ?? []).filter(({ runId }) => before !== undefined && runId >= before);
  const older = more ? (known?.rows ?? []).filter(({ runId }) => runId < last) : [];
  return { rows: [...newer, ...runs, ...older], more: older.length > 0 ? known!.more : more };
}

/** Whether it can still be stopped. */
export function isLive({ status }: RunInfo): boolean {
  return status === "waiting" || status === "admitted" || status === "running";
}

export function statusWord({ status }: RunInfo): string {
  switch (status) {
    case "admitted": return "Starting";
    case "waiting": return "Waiting";
    case "running": return "Running";
    case "finished": return "Finished";
    case "failed": return "Failed";
    case "cancelled": return "Stopped";
    case "suspended": return "Asked you";
    default: return status;
  }
}

/** How long it ran, or runs; nothing for a run that has not begun. */
export function ranFor({ started, ended }: RunInfo, now: number): string | undefined {
  return started === undefined ? undefined : duration((ended ?? Math.max(now, started)) - started);
}

export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What it used, in words. */
export function used({ modelCalls, toolCalls, events, outputBytes }: Figures): string {
  return [count(modelCalls, "model call"), count(toolCalls, "tool call"), count(events, "event"), bytes(outputBytes)].join(", ");
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function bytes(n: number): string {
  if (n < 1024) return count(n, "byte");
  return n < 1024 * 1024 ? `${(n / 1024).toFixed(1)} KB` : `${(n / 1024 / 1024).toFixed(1)} MB`;
}
