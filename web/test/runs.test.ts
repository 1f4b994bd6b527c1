import { describe, expect, it } from "vitest";
import type { RunInfo } from "carrel-client";
import { duration, isLive, putPage, ranFor, statusWord, used } from "../src/runs.ts";
import type { Rows } from "../src/runs.ts";

const run = (runId: string, status = "finished"): RunInfo => ({ runId, threadId: "t", status, created: Number(runId.slice(1)) });
const page = (before: string | undefined, ...runs: RunInfo[]) => ({ type: "runs" as const, runs, more: before !== undefined, ...(before !== undefined && { before }) });
const ids = ({ rows }: Rows): string => rows.map(({ runId }) => runId).join(" ");

describe("the list of runs", () => {
  it("grows by older pages, and keeps them when the first page reaches them", () => {
    const first = putPage(undefined, page("c8", run("r9"), run("r8")));
    const both = putPage(first, page(undefined, run("r7"), run("r6")), "c8");
    expect(both).toEqual({ rows: ["r9", "r8", "r7", "r6"].map((id) => run(id)) });
    const again = putPage(both, page("c9", run("r10", "running"), run("r9")));
    expect([ids(again), again.before]).toEqual(["r10 r9 r8 r7 r6", undefined]);
    const gap = putPage(both, page("c11", run("r12"), run("r11")));
    expect([ids(gap), gap.before]).toEqual(["r12 r11", "c11"]);
    expect(putPage(gap, page(undefined, run("r6")), "c8").before).toBe("c11"); // an answer from before
    expect(putPage(both, page(undefined)).rows).toEqual([]);
  });

  it("keeps a continued run in its place, and not as running once the first page lacks it", () => {
    const first = putPage(undefined, page("c8", run("r9"), run("r8"), run("r1", "running")));
    expect(ids(first)).toBe("r9 r8 r1");
    expect(ids(putPage(first, page("c3", run("r4"), run("r3")), "c8"))).toBe("r9 r8 r4 r3 r1");
    expect(ids(putPage(first, page("c8", run("r9"), run("r8"))))).toBe("r9 r8");
  });

  it("can stop live runs, and names each status", () => {
    expect(["queued", "admitted", "running"].map((status) => isLive(run("r", status)))).toEqual([true, true, true]);
    expect(["finished", "failed", "cancelled", "suspended"].map((status) => [isLive(run("r", status)), statusWord(run("r", status))]))
      .toEqual([[false, "Finished"], [false, "Failed"], [false, "Stopped"], [false, "Asked you"]]);
  });

  it("shows times and usage", () => {
    expect([1234, 59_900, 61_000, 3_660_000].map(duration)).toEqual(["1.2 s", "59 s", "1 min 1 s", "1 h 1 min"]);
    expect(ranFor({ ...run("r"), started: 1000, ended: 3000 }, 9000)).toBe("2.0 s");
    expect(ranFor({ ...run("r"), started: 1000 }, 500)).toBe("0.0 s");
    expect(ranFor(run("r"), 500)).toBeUndefined();
    expect(used({ modelCalls: 1, toolCalls: 0, events: 12, outputBytes: 2048 })).toBe("1 model call, 0 tool calls, 12 events, 2.0 KB");
  });
});
