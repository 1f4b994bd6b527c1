import type { RunStats, RunInfo, RunPage } from "carrel-client";

/** The loaded rows, newest first, and the cursor of the next page; undefined after the last page. */
export interface Rows {
  readonly rows: readonly RunInfo[];
  readonly before?: string;
}

/** Adds a page to the rows. asked is the cursor of its request; undefined for the first page. */
export function putPage(known: Rows | undefined, { runs, before }: RunPage, asked?: string): Rows {
  if (known && asked !== undefined) {
    const merged = merge(known.rows, runs);
    // If a newer first page left a gap, the rows of the gap are fetched first.
    return known.before === asked ? { rows: merged, ...(before !== undefined && { before }) } : { ...known, rows: merged };
  }
  if (known && before !== undefined && joins(known.rows, runs)) return { ...known, rows: merge(known.rows, runs) };
  return { rows: runs, ...(before !== undefined && { before }) };
}

function merge(known: readonly RunInfo[], runs: readonly RunInfo[]): readonly RunInfo[] {
  const all = new Map([...known, ...runs].map((run) => [run.runId, run]));
  return [...all.values()].sort((a, b) => (b.created ?? 0) - (a.created ?? 0) || (a.runId < b.runId ? 1 : -1));
}

/**
 * Whether a first page reaches known rows, so that no row is missing between them. The first page has all runs that have not
 * ended. So a known running row that it lacks has ended, and the known rows are out of date.
 */
function joins(known: readonly RunInfo[], runs: readonly RunInfo[]): boolean {
  const there = new Set(runs.map(({ runId }) => runId));
  return runs.some((run) => !isLive(run) && known.some(({ runId }) => runId === run.runId))
    && known.every((run) => !isLive(run) || there.has(run.runId));
}

/** Whether it can still be stopped. */
export function isLive({ status }: RunInfo): boolean {
  return status === "queued" || status === "admitted" || status === "running";
}

export function statusWord({ status }: RunInfo): string {
  switch (status) {
    case "admitted": return "Starting";
    case "queued": return "Queued";
    case "running": return "Running";
    case "finished": return "Finished";
    case "failed": return "Failed";
    case "cancelled": return "Stopped";
    case "suspended": return "Asked you";
    default: return status;
  }
}

/** The duration so far; undefined for a run that has not begun. */
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

/** The usage of a run, in words. */
export function used({ modelCalls, toolCalls, events, outputBytes }: RunStats): string {
  return [count(modelCalls, "model call"), count(toolCalls, "tool call"), count(events, "event"), bytes(outputBytes)].join(", ");
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function bytes(n: number): string {
  if (n < 1024) return count(n, "byte");
  return n < 1024 * 1024 ? `${(n / 1024).toFixed(1)} KB` : `${(n / 1024 / 1024).toFixed(1)} MB`;
}
